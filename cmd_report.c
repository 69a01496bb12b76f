/* report: one HTML file from run folders and results of forget. */
#include "commands.h"
#include "decimal.h"
#include "os.h"
#include "report.h"

#include <string.h>

/* The entropy that the story world's own file states for its unseen stories. */
static double stories_floor(const char *dir) {
    char *path = os_join(dir, "world.json");
    if (!os_exists(path)) bad_input("%s: no world.json in it: --stories takes a folder that finetune stories wrote", dir);
    JsonDoc *doc = json_read(path);
    const Json *valid = json_need(doc, json_root(doc), "valid", JSON_OBJECT);
    double bits = json_need(doc, valid, "story_bits_per_byte", JSON_NUMBER)->number;
    json_free(doc), mem_free(path);
    return bits;
}

/* Runs whose folders have one name are told apart by their paths. */
static void name_runs(RunLog *runs, size_t count) {
    bool *twice = mem_new(count, sizeof *twice);
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < count; j++) twice[i] = twice[i] || (i != j && !strcmp(runs[i].name, runs[j].name));
    for (size_t i = 0; i < count; i++)
        if (twice[i]) runs[i].name = runs[i].path;
    mem_free(twice);
}

/* The report would change the hash that it states. */
static void refuse_inside(const char *out, const char *run) {
    size_t n = strlen(run);
    while (n > 1 && run[n - 1] == '/') n--;
    if (!strncmp(out, run, n) && out[n] == '/') bad_input("%s: a report inside the run folder would change the folder's hash: name another --out", out);
}

int cmd_report(int argc, char **argv) {
    const char *out = NULL, *forget = NULL, *stories = NULL;
    double floor = 0;
    bool force = false, json = false;
    Report r = {.floor = not_known()};
    Flag flags[] = {{"--out", FLAG_TEXT, EXECUTION, &out, 0, 0, "FILE", "the HTML file; must not exist", false},
                    {"--forget", FLAG_TEXT, EXECUTION, &forget, 0, 0, "FILE", "result of forget; more of them can stand after the runs", false},
                    {"--stories", FLAG_TEXT, EXECUTION, &stories, 0, 0, "DIR", "story world whose entropy is drawn under the loss", false},
                    {"--floor", FLAG_REAL, EXECUTION, &floor, 0, 8, "BPB", "entropy of the source in bits a byte, drawn under the loss; 0: not known", false},
                    {"--title", FLAG_TEXT, EXECUTION, &r.title, 0, 0, "TEXT", "heading; else the runs' names", false},
                    {"--seconds", FLAG_SWITCH, EXECUTION, &r.seconds, 0, 0, NULL, "a sweep's seconds too: the page is then of this machine alone", false},
                    {"--force", FLAG_SWITCH, EXECUTION, &force, 0, 0, NULL, "replace --out when it exists", false},
                    {"--json", FLAG_SWITCH, EXECUTION, &json, 0, 0, NULL, "the result line as JSON", false}};
    Command c = {.name = "report", .summary = "one HTML file of curves, samples, forgetting, hashes", .usage = "RUN… [FORGET.json …] --out FILE.html",
                 .flags = flags, .count = sizeof flags / sizeof *flags,
                 .example = "finetune report demo-out/base --stories demo-out/stories --out report.html\n"
                            "finetune report full lora forget.json --out report.html"};
    if (!cli_parse(&c, argc, argv, 1000)) return 0;
    cli_need(&c, "--out");
    if (!c.positional_count && !forget) bad_input("report needs a run folder, or a result of forget");
    if (stories && cli_given(&c, "--floor")) bad_input("--stories and --floor both give the entropy: leave one out");
    if (stories) r.floor = stories_floor(stories);
    else if (floor > 0) r.floor = floor;
    r.runs = mem_new(c.positional_count, sizeof *r.runs), r.results = mem_new(c.positional_count + 1, sizeof *r.results);
    if (forget) r.results[r.result_count++] = json_read(forget);
    for (size_t i = 0; i < c.positional_count; i++) {
        const char *path = c.positional[i];
        refuse_inside(out, path);
        if (!os_exists(path)) bad_input("%s: no such file or folder", path);
        if (!os_is_dir(path)) r.results[r.result_count++] = json_read(path);
        else r.runs[r.run_count++] = run_log_read(path);
    }
    if (os_exists(out) && !force) bad_input("%s exists: name another --out, or add --force to replace it", out);
    name_runs(r.runs, r.run_count);
    Buf page = report_page(&r);
    os_write_file(out, page.data, page.len);
    ResultLine line = result_begin(json);
    result_text(&line, "out", out), result_count(&line, "bytes", page.len);
    result_print(&line);
    return 0;
}
