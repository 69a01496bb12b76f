/* generate: text from a prompt, streamed as it comes; or an answer to every row of a file. */
#include "commands.h"
#include "opening.h"
#include "os.h"
#include "suite.h"

#include <stdio.h>
#include <string.h>

typedef struct {
    Common common;
    ModelFlags model;
    SuiteFlags rows;
    const char *file, *stop, *out;
    size_t tokens, samples, top_k, ctx;
    double temperature, top_p, min_p, repetition_penalty;
    bool greedy, no_echo, separators, force;
} Options;

static void show(void *context, const char *bytes, size_t n) {
    (void)context;
    out_bytes(bytes, n);
    out_flush();
}

static Buf read_prompt(const Options *o, const Command *c) {
    Buf prompt = {0};
    if (c->positional_count && o->file) bad_input("generate: a prompt and --prompt-file: give one of them");
    if (o->file) return os_read(o->file);
    if (c->positional_count && !strcmp(c->positional[0], "-")) return os_read("-");
    if (c->positional_count) buf_str(&prompt, c->positional[0]);
    return prompt;
}

static void print_json(const Buf *text, size_t tokens, const char *reason) {
    JsonWriter w = {0};
    jw_object(&w, NULL);
    jw_int(&w, "v", 1), jw_string_n(&w, "text", text->data ? text->data : "", text->len);
    jw_uint(&w, "tokens", tokens), jw_string(&w, "stop", reason);
    jw_end_object(&w);
    buf_char(&w.text, '\n');
    out_bytes(w.text.data, w.text.len);
    buf_free(&w.text);
}

/* ---- rows ---- */

typedef struct {
    OsFile *file;
    const Suite *suite;
    Buf right;
    size_t tokens, ended;
} Answers;

static void write_answer(void *context, const Answer *a) {
    Answers *to = context;
    JsonWriter w = {0};
    jw_object(&w, NULL);
    jw_int(&w, "v", 1), jw_uint(&w, "row", a->row), jw_uint(&w, "line", a->line), jw_string_n(&w, "prompt", a->prompt->data, a->prompt->len);
    if (suite_right(to->suite, suite_row(to->suite, a->item), &to->right)) jw_string_n(&w, "completion", to->right.data, to->right.len);
    jw_string_n(&w, "answer", a->text->data, a->text->len), jw_uint(&w, "tokens", a->tokens), jw_string(&w, "stop", stop_names[a->reason]);
    if (a->cut) jw_bool(&w, "cut", true);
    jw_end_object(&w);
    buf_char(&w.text, '\n');
    os_write(to->file, w.text.data, w.text.len);
    to->tokens += a->tokens, to->ended += a->reason == STOP_END;
    buf_free(&w.text);
}

static int answer_rows(const Options *o, const Model *m, Tokenizer *tok, const GenerateOptions *g) {
    Suite s = suite_named(&o->rows, &o->model, tok, false, "generate");
    s.tokens = o->tokens;
    Tick tick = tick_begin("generate", s.count);
    Answers to = {.file = os_create(o->out), .suite = &s};
    suite_answer(&s, m, g, &tick, write_answer, &to);
    os_commit(to.file);
    suite_say_cut(&s, "generate");
    ResultLine r = result_begin(o->common.json);
    result_count(&r, "rows", s.count), result_count(&r, "tokens", to.tokens), result_count(&r, "ended", to.ended), result_text(&r, "out", o->out);
    result_print(&r);
    buf_free(&to.right), suite_free(&s);
    return 0;
}

/* ---- a prompt ---- */

static int run(const Options *o, const Command *c) {
    Model *m = open_weights(&o->model, true);
    Tokenizer *tok = open_tokenizer(&o->model, m, true);
    const char *stops[64];
    GenerateOptions g = {.sample = {.temperature = o->greedy ? 0 : o->temperature, .top_k = o->top_k, .top_p = o->top_p, .min_p = o->min_p,
                                    .repetition_penalty = o->repetition_penalty, .seed = (uint32_t)o->common.seed},
                         .tokens = o->tokens, .stops = stops, .stop_count = split_stops(o->stop, stops, 64)};
    if (o->rows.data) return answer_rows(o, m, tok, &g);
    Buf prompt = read_prompt(o, c);
    Ids ids = {0};
    encode_beginning(tok, prompt.data ? prompt.data : "", prompt.len, "generate: the prompt", &ids);
    if (ids.count > m->config.ctx)
        bad_input("generate: the prompt has %zu tokens, the model's context is %zu: shorten it", ids.count, m->config.ctx);
    if (!o->common.json) g.show = show;
    Cache *cache = cache_new(m, ids.count + o->tokens < m->config.ctx ? ids.count + o->tokens : m->config.ctx);
    size_t prompt_tokens = ids.count;
    os_catch_interrupts();
    for (size_t i = 0; i < o->samples && !os_interrupted; i++) {
        Buf text = {0};
        ids.count = prompt_tokens;
        g.sample.seed = (uint32_t)(o->common.seed + i);
        if (!o->common.json && !o->no_echo) out_bytes(prompt.data ? prompt.data : "", prompt.len);
        double started = os_seconds();
        StopReason reason = generate(m, tok, cache, &ids, &g, &text);
        double seconds = os_seconds() - started;
        if (o->common.json) print_json(&text, ids.count - prompt_tokens, stop_names[reason]);
        else out_text(o->separators ? END_OF_TEXT "\n" : "\n");
        out_flush();
        if (reason == STOP_CONTEXT) fprintf(stderr, "generate: stopped at the model's context of %zu tokens\n", m->config.ctx);
        if (os_is_terminal(2)) fprintf(stderr, "%zu tokens, %.0f a second\n", ids.count - prompt_tokens, (double)(ids.count - prompt_tokens) / seconds);
        buf_free(&text);
    }
    return os_interrupted ? EXIT_INTERRUPTED : 0;
}

/* A prompt and rows have flags of their own. */
static void check_call(Options *o, const Command *c) {
    static const char *const of_rows[] = {"--out", "--map", "--template", "--system", "--long", "--force"},
                             *const of_prompts[] = {"--prompt-file", "--samples", "--no-echo", "--separators"};
    if (!o->rows.data) {
        for (size_t i = 0; i < sizeof of_rows / sizeof *of_rows; i++)
            if (cli_given(c, of_rows[i])) bad_input("%s belongs to --data", of_rows[i]);
        return;
    }
    for (size_t i = 0; i < sizeof of_prompts / sizeof *of_prompts; i++)
        if (cli_given(c, of_prompts[i])) bad_input("%s belongs to a prompt, not to --data", of_prompts[i]);
    if (c->positional_count) bad_input("generate: a prompt and --data: give one of them");
    cli_need(c, "--out");
    if (os_exists(o->out) && !o->force) bad_input("%s exists: name another --out, or add --force to replace it", o->out);
    if (!cli_given(c, "--temperature")) o->greedy = true;
}

int cmd_generate(int argc, char **argv) {
    Options o = {.tokens = 256, .samples = 1, .temperature = 0.8, .top_p = 0.95, .repetition_penalty = 1, .common = {.seed = 1}, .rows = {.longer = "cut"}};
    Flag flags[] = {
        MODEL_FLAGS(o.model),
        {"--data", FLAG_TEXT, EXECUTION, &o.rows.data, 0, 0, "FILE|DIR", "answer every row of a file, or of a folder's test file", false},
        {"--out", FLAG_TEXT, EXECUTION, &o.out, 0, 0, "FILE", "with --data: the answers, as JSONL", false},
        SUITE_FLAGS(o.rows),
        {"--force", FLAG_SWITCH, EXECUTION, &o.force, 0, 0, NULL, "replace --out when it exists", false},
        {"--prompt-file", FLAG_TEXT, EXECUTION, &o.file, 0, 0, "FILE", "prompt from a file", false},
        {"--tokens", FLAG_SIZE, DEFINING, &o.tokens, 1, 1e9, "N", "at most so many new tokens", false},
        {"--samples", FLAG_SIZE, DEFINING, &o.samples, 1, 1e9, "N", "texts, sample i with seed + i", false},
        {"--temperature", FLAG_REAL, DEFINING, &o.temperature, 0, 100, "X", "0: always the likeliest token; with --data 0 unless given", false},
        {"--greedy", FLAG_SWITCH, DEFINING, &o.greedy, 0, 0, NULL, "as --temperature 0", false},
        {"--top-k", FLAG_SIZE, DEFINING, &o.top_k, 0, 1e9, "N", "of the N likeliest; 0: of all", false},
        {"--top-p", FLAG_REAL, DEFINING, &o.top_p, 0, 1, "X", "of the likeliest that make up this probability", false},
        {"--min-p", FLAG_REAL, DEFINING, &o.min_p, 0, 1, "X", "of those at least X times as likely as the likeliest", false},
        {"--repetition-penalty", FLAG_REAL, DEFINING, &o.repetition_penalty, 1e-3, 1e3, "X", "above 1: what stands already becomes less likely", false},
        {"--stop", FLAG_TEXT, DEFINING, &o.stop, 0, 0, "A|B", "strings that end the text", false},
        {"--no-echo", FLAG_SWITCH, EXECUTION, &o.no_echo, 0, 0, NULL, "leave out the prompt", false},
        {"--separators", FLAG_SWITCH, EXECUTION, &o.separators, 0, 0, NULL, "end each text with " END_OF_TEXT, false},
        COMMON_FLAGS(o.common)};
    Command c = {.name = "generate", .summary = "sample text from a model",
                 .usage = "--model DIR [PROMPT | - | --prompt-file FILE | --data FILE --out FILE] [flags]", .flags = flags,
                 .count = sizeof flags / sizeof *flags,
                 .example = "finetune generate --model demo-out/base \"Once upon a time\"\n"
                            "echo \"One day\" | finetune generate --model demo-out/base - --greedy\n"
                            "finetune generate --model base --adapter tuned --data test.jsonl --out answers.jsonl"};
    if (!cli_parse(&c, argc, argv, 1)) return 0;
    cli_need(&c, "--model");
    check_call(&o, &c);
    cli_threads(&o.common);
    return run(&o, &c);
}
