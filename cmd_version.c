/* version: what this binary was built with. */
#include "commands.h"

#define VERSION "0.1.0"

int cmd_version(int argc, char **argv) {
    bool json = false;
    Flag flags[] = {{"--json", FLAG_SWITCH, EXECUTION, &json, 0, 0, NULL, "as JSON", false}};
    Command c = {.name = "version", .summary = "what this binary was built with", .usage = "", .flags = flags, .count = 1, .example = "finetune version"};
    if (!cli_parse(&c, argc, argv, 0)) return 0;
    const char *const lines[][2] = {{"version", VERSION}, {"compiler", build_compiler()}, {"tier", build_tier()}, {"fma", build_fma()},
#ifdef _OPENMP
                                           {"openmp", "yes"},
#else
                                           {"openmp", "no"},
#endif
#ifdef REAL_F64
                                           {"real", "double"}};
#else
                                           {"real", "float"}};
#endif
    ResultLine r = result_begin(json);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        result_text(&r, lines[i][0], lines[i][1]);
        if (!json) result_print(&r), r = result_begin(false);
    }
    result_count(&r, "bits_version", BITS_VERSION);
    result_print(&r);
    return 0;
}
