/* forget: what tuning cost: suites before and after, drift, distances, the R matrix of a sequence of tasks. */
#include "commands.h"
#include "decimal.h"
#include "hash.h"
#include "lora.h"
#include "opening.h"
#include "os.h"
#include "outcome.h"
#include "relearn.h"
#include "sweep.h"
#include "weights.h"

#include <stdio.h>
#include <string.h>

typedef struct {
    Common common;
    ModelFlags base;
    const char *suites, *texts, *chance, *template, *sequence, *joint, *half, *out, *sweep;
    size_t ctx, kl_tokens, relearn;
    bool force, resume;
} Options;

enum { LIST_MOST = 256 };

/* "A,NAME=B,C": at most LIST_MOST words, cut in place; returns how many. */
static size_t split(char *text, char *words[LIST_MOST], const char *flag) {
    size_t n = 0;
    for (char *next; text && *text; text = next) {
        next = strchr(text, ',');
        if (next) *next++ = 0;
        if (n == LIST_MOST) bad_input("%s: more than %d names", flag, (int)LIST_MOST);
        words[n++] = text;
    }
    return n;
}

/* The last part of a path, without its ending and without "suite-". */
static char *suite_name(const char *path) {
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path, *dot = strrchr(name, '.');
    if (str_starts(name, "suite-") && name[6]) name += 6;
    return str_copy_n(name, dot > name ? (size_t)(dot - name) : strlen(name));
}

/* ---- suites ---- */

static double chance_given(const Options *o, const char *name) {
    size_t n = strlen(name);
    double x = bits_double(0x7ff8000000000000);
    for (const char *at = o->chance; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
        if (!strncmp(at, name, n) && at[n] == '=' && (!decimal_parse(at + n + 1, strcspn(at + n + 1, ","), &x) || x < 0 || x >= 1))
            bad_input("--chance: %s lies from 0 to below 1, found %.*s", name, (int)strcspn(at, ","), at);
    return x;
}

static void open_suites(Outcome *o, const Options *f, const char *list, bool text, Tokenizer *tok, size_t ctx, const char **paths) {
    char *words[LIST_MOST], *copy = list ? str_copy(list) : NULL;
    size_t n = split(copy, words, text ? "--texts" : "--suites");
    o->suites = mem_resize(o->suites, o->suite_count + n, sizeof *o->suites);
    for (size_t i = 0; i < n; i++) {
        char *equals = strchr(words[i], '='), *path = equals ? equals + 1 : words[i];
        if (equals) *equals = 0;
        char *name = equals ? str_copy(words[i]) : suite_name(path);
        if (!*name || strpbrk(name, "/\\ \t\n")) bad_input("\"%s\": a suite's name is a word without spaces and slashes: NAME=%s", name, path);
        for (size_t k = 0; k < o->suite_count; k++)
            if (!strcmp(o->suites[k].name, name)) bad_input("two suites are called %s: give one of them another name: NAME=%s", name, path);
        paths[o->suite_count] = str_copy(path);
        o->suites[o->suite_count++] = text ? measure_text(path, name, o->half, tok, ctx)
                                           : measure_task(path, name, o->half, tok, f->template, template_folder(&f->base), chance_given(f, name), o->seed);
        mem_free(name);
    }
    mem_free(copy);
}

static void find_tasks(Outcome *o, const Options *f) {
    char *words[LIST_MOST], *copy = f->sequence ? str_copy(f->sequence) : NULL;
    size_t n = split(copy, words, "--sequence"), stages = o->tuned_count - (f->joint != NULL);
    o->tasks = mem_new(n, sizeof *o->tasks);
    for (size_t i = 0; i < n; i++) {
        size_t k = 0;
        while (k < o->suite_count && strcmp(o->suites[k].name, words[i])) k++;
        if (k == o->suite_count) bad_input("--sequence: no suite is called %s", words[i]);
        o->tasks[o->task_count++] = k;
    }
    if (n && stages < n) bad_input("--sequence names %zu tasks, but only %zu models are given: one after each task, in that order", n, stages);
    if (f->joint && !n) bad_input("--joint is for a sequence of tasks: name it with --sequence");
    mem_free(copy);
}

/* ---- models ---- */

static void name_models(Outcome *o, const char **paths) {
    for (size_t i = 0; i < o->tuned_count; i++) {
        const char *path = paths[i];
        size_t end = strlen(path);
        while (end > 1 && path[end - 1] == '/') end--;
        size_t begin = end;
        while (begin && path[begin - 1] != '/') begin--;
        o->tuned[i].path = path, o->tuned[i].name = str_copy_n(path + begin, end - begin);
        o->tuned[i].adapter = os_is_dir(path) && is_adapter(path);
        if (!os_exists(path)) bad_input("%s: no such model folder or adapter", path);
    }
    for (size_t i = 0; i < o->tuned_count; i++)
        for (size_t k = 0; k < o->tuned_count; k++)
            if (k != i && !strcmp(o->tuned[i].name, o->tuned[k].name)) o->tuned[i].name = o->tuned[i].path;
}

static Measured *measure_all(Outcome *o, const Model *m, const char *what) {
    Measured *r = mem_new(o->suite_count, sizeof *r);
    for (size_t i = 0; i < o->suite_count; i++) {
        char *label = str_format("forget: %s, %s", what, o->suites[i].name);
        Tick t = tick_begin(label, o->suites[i].count);
        r[i] = measure_model(&o->suites[i], m, true, &t);
        mem_free(label);
    }
    return r;
}

static void measure_tuned(Outcome *o, TunedModel *t, Model *base, const Options *f) {
    Model *m = base;
    if (t->adapter) adapter_load(base, t->path, f->base.model, f->base.other_base);
    else m = model_load(t->path, true);
    if (m->config.vocab != base->config.vocab || m->config.ctx < base->config.ctx)
        bad_input("%s: its vocabulary of %zu or its context of %zu is not that of the base (%zu, %zu): it was not tuned from it", t->path,
                  m->config.vocab, m->config.ctx, base->config.vocab, base->config.ctx);
    char *weights = t->adapter ? os_join(t->path, "adapter_model.safetensors") : str_copy(t->path);
    st_tensors_hash(weights, t->hash);
    mem_free(weights);
    t->measured = measure_all(o, m, t->name);
    t->kl = mem_new(o->suite_count, sizeof *t->kl);
    for (size_t i = 0; i < o->suite_count; i++) {
        size_t tokens;
        t->kl[i] = measure_kl(&o->suites[i], base, m, t->adapter, o->kl_tokens, &tokens);
    }
    t->parts = weight_distances(base, m, t->adapter, f->base.model, t->path, &t->part_count);
    if (t->adapter) adapter_free(base);
    else model_free(m);
}

static int forget(const Options *f, const Command *c) {
    static const char *const halves[] = {"all", "select", "report"};
    Outcome o = {.base = f->base.model, .seed = (uint32_t)f->common.seed, .kl_tokens = f->kl_tokens};
    o.half = (Half)cli_choice("--half", f->half, halves, 3);
    o.tuned_count = c->positional_count + (f->joint != NULL);
    const char **paths = mem_new(o.tuned_count, sizeof *paths);
    memcpy(paths, c->positional, c->positional_count * sizeof *paths);
    if (f->joint) paths[c->positional_count] = f->joint, o.joint = true;
    o.tuned = mem_new(o.tuned_count, sizeof *o.tuned);
    name_models(&o, paths);
    Model *base = open_weights(&f->base, true);
    Tokenizer *tok = open_tokenizer(&f->base, base, true);
    if (f->ctx > base->config.ctx) bad_input("--ctx %zu is longer than the model's context of %zu", f->ctx, base->config.ctx);
    const char *files[2 * LIST_MOST];
    open_suites(&o, f, f->suites, false, tok, 0, files);
    open_suites(&o, f, f->texts, true, tok, f->ctx ? f->ctx : base->config.ctx, files);
    find_tasks(&o, f);
    base_hash(f->base.model, o.base_hash);
    o.before = measure_all(&o, base, "base");
    for (size_t i = 0; i < o.tuned_count; i++) measure_tuned(&o, &o.tuned[i], base, f);
    os_make_dir(f->out);
    if (f->relearn) relearn(&o, base, f->base.model, files, f->relearn, f->out);
    outcome_write(&o, f->out);
    outcome_print(&o, f->common.json);
    return 0;
}

int cmd_forget(int argc, char **argv) {
    Options o = {.common = {.seed = 1}, .half = "all", .kl_tokens = 10000};
    Flag flags[] = {
        {"--base", FLAG_TEXT, EXECUTION, &o.base.model, 0, 0, "DIR", "the model before tuning: a folder, or a llama2.c .bin", false},
        {"--tokenizer", FLAG_TEXT, EXECUTION, &o.base.tokenizer, 0, 0, "PATH", "when the base's folder holds none", false},
        {"--other-base", FLAG_SWITCH, EXECUTION, &o.base.other_base, 0, 0, NULL, "adapters may have been trained on another model", false},
        {"--suites", FLAG_TEXT, EXECUTION, &o.suites, 0, 0, "FILE,…", "tasks: rows with right answers, or choices; NAME=FILE names one", false},
        {"--texts", FLAG_TEXT, EXECUTION, &o.texts, 0, 0, "FILE,…", "held-out texts: bits a byte; NAME=FILE names one", false},
        {"--chance", FLAG_TEXT, DEFINING, &o.chance, 0, 0, "NAME=X,…", "score of a guess; else what world.json beside the file says, or 0", false},
        {"--half", FLAG_TEXT, DEFINING, &o.half, 0, 0, "NAME", "select: items of even number; report: the others; all", false},
        {"--template", FLAG_TEXT, DEFINING, &o.template, 0, 0, "NAME|FILE", "of the tasks, for every model; else the base's", false},
        {"--sequence", FLAG_TEXT, DEFINING, &o.sequence, 0, 0, "NAME,…", "the models were trained on these suites' tasks, one after the other", false},
        {"--joint", FLAG_TEXT, EXECUTION, &o.joint, 0, 0, "DIR", "model trained on all tasks of the sequence together", false},
        {"--ctx", FLAG_SIZE, DEFINING, &o.ctx, 0, 4194304, "N", "of texts; 0: the model's context", false},
        {"--kl-tokens", FLAG_SIZE, DEFINING, &o.kl_tokens, 0, 1e9, "N", "tokens of each suite that KL is taken over; 0: all", false},
        {"--out", FLAG_TEXT, EXECUTION, &o.out, 0, 0, "DIR", "folder for forget.json, forget.csv, items-SUITE.jsonl; must not exist", false},
        {"--relearn", FLAG_SIZE, DEFINING, &o.relearn, 0, 1073741824, "N", "how few rows of the select half, up to N, bring known tasks back", false},
        {"--sweep", FLAG_TEXT, EXECUTION, &o.sweep, 0, 0, "FILE.json", "instead: train methods x rates x strengths, compare at matched learning", false},
        {"--resume", FLAG_SWITCH, EXECUTION, &o.resume, 0, 0, NULL, "with --sweep: keep the finished cells in --out", false},
        {"--force", FLAG_SWITCH, EXECUTION, &o.force, 0, 0, NULL, "write into --out when it exists", false},
        COMMON_FLAGS(o.common)};
    Command c = {.name = "forget", .summary = "what tuning cost: suites before and after, drift, R matrix",
                 .usage = "--base DIR --suites FILE,… --texts FILE,… --out DIR TUNED…", .flags = flags, .count = sizeof flags / sizeof *flags,
                 .example = "finetune forget --base demo-out/base --suites demo-out/stories/suite-words.jsonl --texts demo-out/stories/valid.txt "
                            "--out cost full lora\n"
                            "finetune forget --sweep sweep.json --out frontier\n"
                            "finetune forget --base base --suites a.jsonl,b.jsonl --sequence a,b --joint both --out cost after-a after-b"};
    if (!cli_parse(&c, argc, argv, LIST_MOST)) return 0;
    cli_need(&c, "--out");
    if (o.relearn && strcmp(o.half, "report")) bad_input("--relearn learns from the select half: measure the other one, with --half report");
    if (o.resume && !o.sweep) bad_input("--resume is for --sweep");
    if (os_exists(o.out) && !o.force && !o.resume) bad_input("%s exists: name another --out, or add --force to write into it", o.out);
    if (os_exists(o.out) && !os_is_dir(o.out)) bad_input("%s exists and is no folder: name another --out", o.out);
    cli_threads(&o.common);
    if (o.sweep) {
        if (o.base.model || o.suites || o.texts || c.positional_count) bad_input("--sweep: base, suites, texts and models stand in %s", o.sweep);
        sweep_run(o.sweep, o.out, o.resume, o.common.json);
        return 0;
    }
    cli_need(&c, "--base");
    if (!c.positional_count) bad_input("forget needs at least one tuned model folder or adapter; see finetune forget --help");
    if (!o.suites && !o.texts) bad_input("forget needs --suites or --texts: what the models are measured by");
    return forget(&o, &c);
}
