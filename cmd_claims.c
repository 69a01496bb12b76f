/* claims: what is said about fine-tuning, as experiments on the story world; a page of tables. */
#include "claims.h"
#include "commands.h"
#include "os.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    void (*run)(Lab *l, Buf *page);
} claims[] = {
    {"scratch", claim_scratch},
    {"little-data", claim_little_data},
    {"labels", claim_labels},
    {"gently", claim_gently},
    {"lora", claim_lora},
    {"instructions", claim_instructions},
    {"form", claim_form},
    {"overfitting", claim_overfitting},
    {"remedies", claim_matched},
    {"sequence", claim_sequence},
    {"newer-base", claim_newer_base},
};
enum { CLAIMS = sizeof claims / sizeof *claims };

static bool chosen(const char *only, const char *name) {
    size_t n = strlen(name);
    for (const char *at = only; at; at = strchr(at, ','), at = at ? at + 1 : NULL)
        if (!strncmp(at, name, n) && (at[n] == ',' || !at[n])) return true;
    return !only;
}

static void check_names(const char *only) {
    for (const char *at = only; at; at = strchr(at, ','), at = at ? at + 1 : NULL) {
        const char *names[CLAIMS];
        char *name = str_copy_n(at, strcspn(at, ","));
        for (size_t i = 0; i < CLAIMS; i++) names[i] = claims[i].name;
        cli_choice("--only", name, names, CLAIMS);
        mem_free(name);
    }
}

static void begin_page(Buf *page, const Lab *l) {
    buf_str(page, "# What is said about fine-tuning, and what it comes to here\n\n"
                  "Written by `make claims`; every figure comes from a line of [claims.jsonl](claims.jsonl), and every line can be made again, to "
                  "the bit. "
                  "Scores are shares of right answers, on the report halves; in brackets 95 % intervals. ");
    if (l->seeds == 1)
        buf_str(page, "**One seed and one order: an illustration.** The intervals are over items alone: they say nothing about what another seed "
                      "would bring. ");
    else
        buf_format(page,
            "**%zu seeds, all orders.** Seeds vary the order of the rows and what an adapter begins with; intervals are over items and seeds, "
            "paired. ",
            l->seeds);
    buf_str(page, "\"More\" or \"less\" is said only where the interval of a change excludes 0.\n\n");
    buf_format(page, "The base: `%.16s…`, tasks and skills of the story world (`finetune stories`). Seconds are of the machine that ran the cell.\n",
        l->base_hash);
}

/* The picture stands beside the page: claims.svg beside claims.md. */
static void write_page(const char *path, const Buf *page, const Buf *picture) {
    char *beside = str_format("%.*s.svg", (int)(str_ends(path, ".md") ? strlen(path) - 3 : strlen(path)), path);
    os_write_file(path, page->data, page->len);
    if (picture->len) os_write_file(beside, picture->data, picture->len);
    mem_free(beside);
}

int cmd_claims(int argc, char **argv) {
    const char *base = NULL, *out = NULL, *record = "docs/claims.jsonl", *page_path = "docs/claims.md", *only = NULL;
    size_t seeds = 1;
    Common common = {0};
    Flag flags[] = {{"--base", FLAG_MODEL, EXECUTION, &base, 0, 0, "DIR", "model folder that everything is tuned from: make base", false},
        {"--out", FLAG_TEXT, EXECUTION, &out, 0, 0, "DIR", "folder for what runs write while they run", false},
        {"--record", FLAG_TEXT, EXECUTION, &record, 0, 0, "FILE", "finished cells, a line each; what stands there is not run again", false},
        {"--page", FLAG_TEXT, EXECUTION, &page_path, 0, 0, "FILE", "tables to write", false},
        {"--seeds", FLAG_SIZE, DEFINING, &seeds, 1, 100, "N", "1: one seed and one order; more: all orders, intervals over seeds", false},
        {"--only", FLAG_TEXT, DEFINING, &only, 0, 0, "NAME,…", "some of the experiments; no page is written", false},
        {"--threads", FLAG_SIZE, EXECUTION, &common.threads, 0, 4096, "N", "threads of the measuring; 0: one a core; any number gives the same bits",
            false},
        {"--json", FLAG_SWITCH, EXECUTION, &common.json, 0, 0, NULL, "results as JSON", false}};
    Command c = {.name = "claims",
        .summary = "what is said about fine-tuning, as experiments on the story world",
        .usage = "--base DIR --out DIR [--seeds N]",
        .flags = flags,
        .count = sizeof flags / sizeof *flags,
        .example = "finetune claims --base base-out/base --out claims-out\nfinetune claims --base base-out/base --out claims-out --seeds 5"};
    if (!cli_parse(&c, argc, argv, 0)) return 0;
    cli_need(&c, "--base"), cli_need(&c, "--out");
    check_names(only);
    cli_threads(&common);
    Lab l = lab_open(base, out, record, seeds);
    Buf page = {0};
    unsigned char digest[32];
    char hash[65];
    begin_page(&page, &l);
    for (size_t i = 0; i < CLAIMS; i++)
        if (chosen(only, claims[i].name)) claims[i].run(&l, &page);
    sha256_end(&l.results, digest), sha256_hex(digest, hash);
    buf_format(&page, "\n---\n\n%zu cells; results, without the seconds, sha256 `%s`.\n", l.done, hash);
    if (only) out_bytes(page.data, page.len);
    else write_page(page_path, &page, &l.picture);
    ResultLine r = result_begin(common.json);
    result_text(&r, "base", l.base_hash), result_count(&r, "seeds", seeds), result_count(&r, "run", l.run), result_count(&r, "cells", l.done);
    result_text(&r, "results", hash);
    result_print(&r);
    buf_free(&page), lab_close(&l);
    return 0;
}
