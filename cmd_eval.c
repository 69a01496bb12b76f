/* eval: loss and bits per byte of a text, or the score on a task. */
#include "commands.h"
#include "eval.h"
#include "opening.h"
#include "os.h"
#include "sample.h"
#include "stats.h"

#include <stdio.h>
#include <string.h>

typedef struct {
    Common common;
    ModelFlags model;
    const char *data, *score, *answers;
    size_t ctx;
    bool force;
} Options;

enum { EVAL_TOKENS = 4096 };

static int score_text(const Options *o, const Model *m, Tokenizer *tok) {
    size_t ctx = o->ctx ? o->ctx : m->config.ctx;
    Texts texts = texts_read(o->data);
    Corpus c = corpus_new(&texts, tok, ctx);
    if (!c.pairs) bad_input("%s: no two tokens follow each other: nothing to score", o->data);
    Pass *p = pass_new(m, ctx > EVAL_TOKENS ? ctx : EVAL_TOKENS, false, false);
    TextScore s = score_corpus(m, p, &c, tok);
    if (!is_finite(score_loss(&s))) work_failed("%s: the loss of %s is not finite: the model's weights are not usable", o->model.model, o->data);
    ResultLine r = result_begin(o->common.json);
    result_number(&r, "loss", score_loss(&s));
    if (s.bytes) result_number(&r, "bpb", score_bpb(&s));
    result_count(&r, "tokens", s.tokens), result_count(&r, "bytes", s.bytes);
    result_print(&r);
    return 0;
}

/* Spaces and line ends at both ends do not count. */
static bool same_answer(const char *a, const char *b) {
    const char *space = " \t\r\n";
    a += strspn(a, space), b += strspn(b, space);
    size_t n = strlen(a), k = strlen(b);
    while (n && strchr(space, a[n - 1])) n--;
    while (k && strchr(space, b[k - 1])) k--;
    return n == k && !memcmp(a, b, n);
}

typedef struct {
    const Model *m;
    Tokenizer *tok;
    Cache *cache;
} Answerer;

/* The greedy answer: up to its end token; up to a line end where the right answer has none; at most eight tokens longer than the right one. */
static Buf answer(const Answerer *a, const TaskRow *row, const char *path) {
    static const char *const line_end[] = {"\n"};
    Ids ids = {0}, right = {0};
    Buf text = {0};
    encode_beginning(a->tok, row->prompt, strlen(row->prompt), path, &ids);
    tokenizer_encode(a->tok, row->completion, strlen(row->completion), false, &right);
    if (ids.count > a->m->config.ctx)
        bad_input("%s: line %zu: the prompt has %zu tokens, the model's context is %zu", path, row->line, ids.count, a->m->config.ctx);
    const char *first = row->completion + strspn(row->completion, " \t\r\n");
    GenerateOptions g = {.sample = {.repetition_penalty = 1, .top_p = 1}, .tokens = right.count + 8, .stops = line_end,
        .stop_count = strchr(first, '\n') ? 0 : 1};
    generate(a->m, a->tok, a->cache, &ids, &g, &text);
    if (!text.data) buf_str(&text, "");
    ids_free(&ids), ids_free(&right);
    return text;
}

static void write_answer(OsFile *f, const TaskRow *row, const char *text, bool right) {
    JsonWriter w = {0};
    jw_object(&w, NULL);
    jw_int(&w, "v", 1), jw_uint(&w, "line", row->line), jw_string(&w, "prompt", row->prompt), jw_string(&w, "completion", row->completion);
    jw_string(&w, "answer", text), jw_bool(&w, "right", right);
    jw_end_object(&w);
    buf_char(&w.text, '\n');
    os_write(f, w.text.data, w.text.len);
    buf_free(&w.text);
}

static int score_exact(const Options *o, const Model *m, Tokenizer *tok) {
    Task task = task_read(o->data);
    OsFile *out = o->answers ? os_create(o->answers) : NULL;
    Answerer a = {m, tok, cache_new(m, m->config.ctx)};
    size_t hits = 0;
    double low, high;
    for (size_t i = 0; i < task.count; i++) {
        Buf text = answer(&a, &task.rows[i], o->data);
        bool right = same_answer(text.data, task.rows[i].completion);
        hits += right;
        if (out) write_answer(out, &task.rows[i], text.data, right);
        buf_free(&text);
    }
    if (out) os_commit(out);
    wilson_interval((double)hits, task.count, &low, &high);
    ResultLine r = result_begin(o->common.json);
    result_number(&r, "exact", (double)hits / (double)task.count), result_number(&r, "low", low), result_number(&r, "high", high);
    result_count(&r, "right", hits), result_count(&r, "rows", task.count);
    result_print(&r);
    return 0;
}

int cmd_eval(int argc, char **argv) {
    Options o = {.common = {.seed = 1}};
    Flag flags[] = {MODEL_FLAGS(o.model),
                    {"--data", FLAG_TEXT, EXECUTION, &o.data, 0, 0, "FILE", "text, or rows {\"prompt\",\"completion\"} with --score", false},
                    {"--score", FLAG_TEXT, DEFINING, &o.score, 0, 0, "NAME", "exact: rows are answered greedily and compared", false},
                    {"--answers", FLAG_TEXT, EXECUTION, &o.answers, 0, 0, "FILE", "with --score: every row's answer, as JSONL", false},
                    {"--ctx", FLAG_SIZE, DEFINING, &o.ctx, 0, 4194304, "N", "tokens that see each other; 0: the model's context", false},
                    {"--force", FLAG_SWITCH, EXECUTION, &o.force, 0, 0, NULL, "replace --answers when it exists", false},
                    COMMON_FLAGS(o.common)};
    Command c = {.name = "eval", .summary = "loss and bits per byte of a text, or the score on a task", .usage = "--model DIR --data FILE [--score exact]",
                 .flags = flags, .count = sizeof flags / sizeof *flags,
                 .example = "finetune eval --model demo-out/base --data demo-out/stories/valid.txt\n"
                            "finetune eval --model demo-out/base --data demo-out/stories/suite-reading.jsonl --score exact"};
    if (!cli_parse(&c, argc, argv, 0)) return 0;
    cli_need(&c, "--model"), cli_need(&c, "--data");
    if (o.score && strcmp(o.score, "exact")) bad_input("--score: unknown value \"%s\": exact", o.score);
    if (o.answers && os_exists(o.answers) && !o.force) bad_input("%s exists: name another --answers, or add --force to replace it", o.answers);
    cli_threads(&o.common);
    Model *m = open_weights(&o.model, true);
    if (o.ctx > m->config.ctx) bad_input("--ctx %zu is longer than the model's context of %zu", o.ctx, m->config.ctx);
    Tokenizer *tok = open_tokenizer(&o.model, m, true);
    return o.score ? score_exact(&o, m, tok) : score_text(&o, m, tok);
}
