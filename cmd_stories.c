/* stories: writes the generated story world, or says what stories that a model wrote are worth. */
#include "commands.h"
#include "os.h"
#include "tinystories/tinystories.h"

static void check(const char *file, const char *train, bool json) {
    StoriesCheck c = stories_check(file, train);
    ResultLine r = result_begin(json);
    result_count(&r, "stories", c.stories), result_count(&r, "sentences", c.sentences);
    result_number(&r, "sentences_in_grammar", c.sentences ? (double)c.good_sentences / (double)c.sentences : 0);
    result_number(&r, "stories_in_grammar", (double)c.good_stories / (double)c.stories);
    if (train) result_number(&r, "training_stories", (double)c.training_stories / (double)c.stories);
    result_print(&r);
}

int cmd_stories(int argc, char **argv) {
    const char *out = NULL, *file = NULL, *train = NULL;
    StoriesSize size = {.bytes = 11000000, .valid = 500, .items = 200, .rows = 1200};
    size_t seed = 1;
    bool force = false, json = false;
    Flag flags[] = {{"--out", FLAG_TEXT, EXECUTION, &out, 0, 0, "DIR",
                        "folder to write: train.txt, valid.txt, valid.jsonl, suite-*.jsonl, task-*.jsonl, world.json", false},
                    {"--bytes", FLAG_SIZE, DEFINING, &size.bytes, 1, 1e12, "N", "bytes of train.txt, about", false},
                    {"--valid", FLAG_SIZE, DEFINING, &size.valid, 1, 1e6, "N", "unseen stories in valid.txt", false},
                    {"--items", FLAG_SIZE, DEFINING, &size.items, 1, 2000, "N", "items of each of the four suites and of each task's test", false},
                    {"--rows", FLAG_SIZE, DEFINING, &size.rows, 1, 100000, "N", "rows of each task's training file", false},
                    {"--seed", FLAG_SIZE, DEFINING, &seed, 0, 4294967295.0, "N", "seed of every random choice", false},
                    {"--check", FLAG_TEXT, EXECUTION, &file, 0, 0, "FILE",
                        "instead: how many of these stories and sentences are of this world; -: standard input", false},
                    {"--train", FLAG_TEXT, EXECUTION, &train, 0, 0, "FILE", "with --check: how many of them stand in this file", false},
                    {"--force", FLAG_SWITCH, EXECUTION, &force, 0, 0, NULL, "write into the folder when it exists", false},
                    {"--json", FLAG_SWITCH, EXECUTION, &json, 0, 0, NULL, "results as JSON", false}};
    Command c = {.name = "stories", .summary = "the story world: texts, held-out stories with their exact probability, four skills, three tasks",
        .usage = "--out DIR [flags] | --check FILE",
                 .flags = flags, .count = sizeof flags / sizeof *flags,
                 .example = "finetune stories --out world --seed 1\nfinetune stories --check samples.txt --train world/train.txt"};
    if (!cli_parse(&c, argc, argv, 0)) return 0;
    if (file) {
        if (out) bad_input("stories takes --out or --check, not both");
        check(file, train, json);
        return 0;
    }
    if (train) bad_input("stories --train FILE goes with --check FILE");
    cli_need(&c, "--out");
    if (os_exists(out) && !force) bad_input("%s exists: name another --out, or add --force to write into it", out);
    StoriesSummary s = stories_write(out, (uint32_t)seed, &size);
    ResultLine r = result_begin(json);
    result_count(&r, "documents", s.documents), result_count(&r, "bytes", s.bytes), result_count(&r, "valid_stories", size.valid);
    result_number(&r, "valid_bits_per_byte", s.valid_bits_per_byte), result_text(&r, "out", out);
    result_print(&r);
    return 0;
}
