/* eval: loss and bits per byte of a text, or the score on rows, the base beside the tuned model. */
#include "commands.h"
#include "eval.h"
#include "lora.h"
#include "opening.h"
#include "os.h"
#include "score.h"
#include "stats.h"

#include <stdio.h>
#include <string.h>

typedef struct {
    Common common;
    ModelFlags model;
    SuiteFlags rows;
    const char *base, *score, *pattern, *delimiter, *stop, *answers;
    size_t ctx, tokens;
    bool force;
} Options;

enum { EVAL_TOKENS = 4096, STOPS = 64 };

static int score_text(const Options *o, const Model *m, Tokenizer *tok) {
    size_t ctx = o->ctx ? o->ctx : m->config.ctx;
    Texts texts = texts_read(o->rows.data);
    Corpus c = corpus_new(&texts, tok, ctx);
    if (!c.pairs) bad_input("%s: no two tokens follow each other: nothing to score", o->rows.data);
    Pass *p = pass_new(m, ctx > EVAL_TOKENS ? ctx : EVAL_TOKENS, false, false);
    TextScore s = score_corpus(m, p, &c, tok);
    if (!is_finite(score_loss(&s))) work_failed("%s: the loss of %s is not finite: the model's weights are not usable", o->model.model, o->rows.data);
    ResultLine r = result_begin(o->common.json);
    result_number(&r, "loss", score_loss(&s));
    if (s.bytes) result_number(&r, "bpb", score_bpb(&s));
    result_count(&r, "tokens", s.tokens), result_count(&r, "bytes", s.bytes);
    result_print(&r);
    return 0;
}

/* ---- result lines ---- */

static double total(const double *values, size_t count) {
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += values[i];
    return sum;
}

/* who NULL: there is one model. */
static void print_scores(const Options *o, const Scores *s, const char *who) {
    ResultLine r = result_begin(o->common.json);
    double right = total(s->values[0], s->count), low, high;
    if (who) result_text(&r, "model", who);
    wilson_interval(right, s->count, &low, &high);
    for (size_t i = 0; i < s->measures; i++) {
        Estimate e = estimate_mean(s->values[i], s->count);
        result_number(&r, s->names[i], e.mean);
        if (!i) result_number(&r, "low", low), result_number(&r, "high", high);
        char *name = str_format("%s_stderr", s->names[i]);
        if (s->choices.count && is_finite(e.error)) result_number(&r, name, e.error);
        mem_free(name);
    }
    result_count(&r, "right", (size_t)right), result_count(&r, "rows", s->count);
    result_print(&r);
}

static void print_differences(const Options *o, const Scores *base, const Scores *tuned) {
    for (size_t k = 0; k < tuned->measures; k++) {
        const double *a = base->values[k], *b = tuned->values[k];
        Estimate e = estimate_paired_shares(a, b, tuned->count);
        size_t better = 0, worse = 0;
        for (size_t i = 0; i < tuned->count; i++) better += b[i] > a[i], worse += b[i] < a[i];
        ResultLine r = result_begin(o->common.json);
        result_text(&r, "difference", tuned->names[k]);
        result_number(&r, "mean", e.mean), result_number(&r, "low", e.low), result_number(&r, "high", e.high);
        result_count(&r, "better", better), result_count(&r, "worse", worse);
        result_print(&r);
    }
}

/* ---- the file of answers ---- */

static void write_flag(JsonWriter *w, const char *prefix, const char *name, bool value) {
    char *key = str_format("%s%s", prefix, name);
    jw_bool(w, key, value);
    mem_free(key);
}

/* What one model did with an item; prefix "" or "base_". */
static void write_scores(JsonWriter *w, const Scores *s, size_t item, const char *prefix) {
    if (s->choices.count) {
        char *key = str_format("%slog_likelihoods", prefix);
        jw_array(w, key);
        for (size_t i = s->choices.first[item]; i < s->choices.first[item + 1]; i++) jw_double(w, NULL, s->choices.log_p[i]);
        jw_end_array(w);
        for (size_t i = 0; i < s->measures; i++) write_flag(w, prefix, s->names[i], s->values[i][item] > 0);
        mem_free(key);
        return;
    }
    char *answer = str_format("%sanswer", prefix), *stop = str_format("%sstop", prefix);
    jw_string_n(w, answer, s->texts[item].data, s->texts[item].len);
    write_flag(w, prefix, "right", s->values[0][item] > 0);
    for (size_t i = 1; i < s->measures; i++) write_flag(w, prefix, s->names[i], s->values[i][item] > 0);
    jw_string(w, stop, stop_names[s->reasons[item]]);
    if (s->cut[item]) write_flag(w, prefix, "cut", true);
    mem_free(answer), mem_free(stop);
}

static void write_question(JsonWriter *w, const Suite *s, const Row *row, Buf *text, TokenRow *ids) {
    if (row->kind == ROWS_CHOICE) {
        jw_string_n(w, "query", row->messages[0].text, row->messages[0].length);
        jw_array(w, "choices");
        for (size_t i = 0; i < row->choice_count; i++) jw_string(w, NULL, row->choices[i]);
        jw_end_array(w);
        jw_uint(w, "gold", row->gold);
        return;
    }
    suite_prompt(s, row, ids, text);
    jw_string_n(w, "prompt", text->data, text->len);
    if (suite_right(s, row, text)) jw_string_n(w, "completion", text->data, text->len);
}

/* base NULL: none. */
static void write_answers(const char *path, const Suite *s, const Scores *tuned, const Scores *base) {
    OsFile *f = os_create(path);
    Buf text = {0};
    TokenRow ids = {0};
    for (size_t i = 0; i < s->count; i++) {
        JsonWriter w = {0};
        const Row *row = suite_row(s, i);
        jw_object(&w, NULL);
        jw_int(&w, "v", 1), jw_uint(&w, "row", suite_number(s, i)), jw_uint(&w, "line", row->line);
        write_question(&w, s, row, &text, &ids);
        write_scores(&w, tuned, i, "");
        if (base) write_scores(&w, base, i, "base_");
        jw_end_object(&w);
        buf_char(&w.text, '\n');
        os_write(f, w.text.data, w.text.len);
        buf_free(&w.text);
    }
    os_commit(f);
    buf_free(&text), token_row_free(&ids);
}

/* ---- rows ---- */

static Scores run_suite(const Options *o, Suite *s, const Model *m, const ScoreOptions *score, const char *stage) {
    Tick tick = tick_begin(stage, s->count);
    Scores r = score_suite(s, m, score, &tick);
    for (size_t i = 0; r.choices.count && i < r.choices.first[r.count]; i++)
        if (!is_finite(r.choices.log_p[i])) work_failed("%s: a log-likelihood is not finite: the model's weights are not usable", o->model.model);
    suite_say_cut(s, stage);
    return r;
}

/* Another model, with its own tokenizer if it brings one, is asked the same. */
static Scores run_base(const Options *o, const Suite *s, const ScoreOptions *score) {
    ModelFlags f = {.model = o->base};
    Suite base = *s;
    Model *m = open_weights(&f, true);
    Tokenizer *own = open_tokenizer(&f, m, false);
    if (!own && tokenizer_size(s->tok) > m->config.vocab)
        bad_input("%s holds no tokenizer, and the %zu tokens of the other model's do not fit its vocabulary of %zu", o->base, tokenizer_size(s->tok),
                  m->config.vocab);
    if (own) base.tok = own, base.encoder = encoder_new(own, s->chat, LOSS_COMPLETIONS, tokenizer_size(own));
    Scores r = run_suite(o, &base, m, score, "eval: base");
    if (own) encoder_free(base.encoder), tokenizer_free(own);
    model_free(m);
    return r;
}

static int score_rows(const Options *o, Model *m, Tokenizer *tok) {
    const char *stops[STOPS];
    ScoreOptions score = {.kind = (ScoreKind)cli_choice("--score", o->score, score_names, SCORE_KINDS), .stops = stops,
                          .stop_count = split_stops(o->stop, stops, STOPS)};
    if (o->pattern && score.kind != SCORE_REGEX) bad_input("--pattern belongs to --score regex");
    if (o->pattern) score.regex = regex_new(o->pattern, strlen(o->pattern), "--pattern");
    Suite s = suite_named(&o->rows, &o->model, tok, !score.regex, "eval");
    s.tokens = o->tokens, s.delimiter = o->delimiter;
    score_check(&s, &score);
    Scores base = {0}, tuned = run_suite(o, &s, m, &score, "eval");
    bool beside = o->model.adapter || o->base;
    if (o->base) base = run_base(o, &s, &score);
    else if (o->model.adapter) {
        adapter_enable(m, false);
        base = run_suite(o, &s, m, &score, "eval: base");
    }
    if (o->answers) write_answers(o->answers, &s, &tuned, beside ? &base : NULL);
    print_scores(o, &tuned, beside ? "tuned" : NULL);
    if (beside) print_scores(o, &base, "base"), print_differences(o, &base, &tuned);
    return 0;
}

int cmd_eval(int argc, char **argv) {
    Options o = {.common = {.seed = 1}, .rows = {.longer = "cut"}, .delimiter = " "};
    Flag flags[] = {MODEL_FLAGS(o.model),
                    {"--base", FLAG_MODEL, EXECUTION, &o.base, 0, 0, "DIR", "with --score: the model before tuning, beside; --adapter: its own base", false},
                    {"--data", FLAG_TEXT, EXECUTION, &o.rows.data, 0, 0, "FILE|DIR", "text; with --score rows, or a folder with a test file", false},
                    {"--score", FLAG_TEXT, DEFINING, &o.score, 0, 0, "NAME", "of rows: exact, contains, regex, json or choice", false},
                    {"--pattern", FLAG_TEXT, DEFINING, &o.pattern, 0, 0, "REGEX", "regex: one for all rows; else each row's completion is one", false},
                    {"--delimiter", FLAG_TEXT, DEFINING, &o.delimiter, 0, 0, "TEXT", "choice: between query and choice", false},
                    SUITE_FLAGS(o.rows),
                    {"--tokens", FLAG_SIZE, DEFINING, &o.tokens, 0, 1e9, "N", "of an answer; 0: exact: the right one's and 8, else 256", false},
                    {"--stop", FLAG_TEXT, DEFINING, &o.stop, 0, 0, "A|B", "strings that end an answer", false},
                    {"--answers", FLAG_TEXT, EXECUTION, &o.answers, 0, 0, "FILE", "with --score: every row's answer, as JSONL", false},
                    {"--ctx", FLAG_SIZE, DEFINING, &o.ctx, 0, 4194304, "N", "text: tokens that see each other; 0: the model's context", false},
                    {"--force", FLAG_SWITCH, EXECUTION, &o.force, 0, 0, NULL, "replace --answers when it exists", false},
                    COMMON_FLAGS(o.common)};
    Command c = {.name = "eval", .summary = "loss and bits per byte of a text, or the score on rows", .usage = "--model DIR --data FILE [--score NAME]",
                 .flags = flags, .count = sizeof flags / sizeof *flags,
                 .example = "finetune eval --model demo-out/base --data demo-out/stories/valid.txt\n"
                            "finetune eval --model demo-out/base --data demo-out/stories/suite-reading.jsonl --score exact\n"
                            "finetune eval --model base --adapter tuned --data test.jsonl --score json --answers answers.jsonl"};
    static const char *const of_scores[] = {"--base", "--pattern", "--delimiter", "--map", "--template",
                                            "--system", "--long", "--tokens", "--stop", "--answers"};
    if (!cli_parse(&c, argc, argv, 0)) return 0;
    cli_need(&c, "--model"), cli_need(&c, "--data");
    for (size_t i = 0; !o.score && i < sizeof of_scores / sizeof *of_scores; i++)
        if (cli_given(&c, of_scores[i])) bad_input("%s belongs to --score", of_scores[i]);
    if (o.score) cli_choice("--score", o.score, score_names, SCORE_KINDS);
    if (o.answers && os_exists(o.answers) && !o.force) bad_input("%s exists: name another --answers, or add --force to replace it", o.answers);
    cli_threads(&o.common);
    Model *m = open_weights(&o.model, true);
    if (o.ctx > m->config.ctx) bad_input("--ctx %zu is longer than the model's context of %zu", o.ctx, m->config.ctx);
    Tokenizer *tok = open_tokenizer(&o.model, m, true);
    return o.score ? score_rows(&o, m, tok) : score_text(&o, m, tok);
}
