/* version: what this binary was built with. */
#include "commands.h"
#include "simd.h"

#if defined(__clang__)
#define COMPILER "clang " __clang_version__
#elif defined(__TINYC__)
#define COMPILER "tcc"
#elif defined(__GNUC__)
#define COMPILER "gcc " __VERSION__
#else
#define COMPILER "unknown"
#endif

#define VERSION "0.1.0"

int cmd_version(int argc, char **argv) {
    bool json = false;
    Flag flags[] = {{"--json", FLAG_SWITCH, EXECUTION, &json, 0, 0, NULL, "as JSON", false}};
    Command c = {.name = "version", .summary = "what this binary was built with", .usage = "", .flags = flags, .count = 1, .example = "finetune version"};
    if (!cli_parse(&c, argc, argv, 0)) return 0;
    static const char *const lines[][2] = {{"version", VERSION}, {"compiler", COMPILER}, {"tier", TIER}, {"fma", FMA_KIND},
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
