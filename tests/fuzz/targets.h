/* targets.h: the product's parsers as functions of bytes. Each must end in a result or in bad_input; never in a crash, an assertion, a failure of
 * another kind, memory kept, or memory out of proportion. fuzz.c feeds them from libFuzzer, test_fuzz.c from the corpus. */
#ifndef TARGETS_H
#define TARGETS_H

#include "../../chat.h"
#include "../../cli.h"
#include "../../fisher.h"
#include "../../gguf_model.h"
#include "../../hf.h"
#include "../../jinja.h"
#include "../../measure.h"
#include "../../pattern.h"
#include "../../report.h"
#include "../../run.h"
#include "../../sweep.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where the bytes of the current input stand as a file; in memory, where there is such a place. */
static char fuzz_dir[200];

static const char *fuzz_file(const char *name, const unsigned char *data, size_t n) {
    static char path[300];
    snprintf(path, sizeof path, "%s/%s", fuzz_dir, name);
    FILE *f = fopen(path, "wb");
    if (!f || (n && fwrite(data, 1, n, f) != n) || fclose(f)) abort();
    return path;
}

/* The parts of the input, which lines of two dashes divide, as the files of a folder, which a slash ends; the last takes the rest. */
static const char *fuzz_folder(const char *folder, const char *const *names, size_t count, const unsigned char *data, size_t n) {
    static char path[256];
    char name[80];
    snprintf(path, sizeof path, "%s/%s", fuzz_dir, folder);
    os_make_dir(path);
    for (size_t i = 0; i < count; i++) {
        size_t length = 0;
        while (i + 1 < count && length < n && !(n - length >= 4 && !memcmp(data + length, "\n--\n", 4))) length++;
        if (i + 1 == count) length = n;
        snprintf(name, sizeof name, "%s%s", folder, names[i]);
        fuzz_file(name, data, length);
        length = length + 4 < n ? length + 4 : n;
        data += length, n -= length;
    }
    path[strlen(path) - 1] = 0;
    return path;
}
#define FUZZ_FOLDER(folder, data, n, ...) \
    fuzz_folder(folder, (const char *const[]){__VA_ARGS__}, sizeof(const char *const[]){__VA_ARGS__} / sizeof(char *), data, n)

/* What commands do once, they leave to the end of the process to free: here a failure does. */
#define FUZZ_DONE "this input was taken"
static _Noreturn void fuzz_done(void) { bad_input(FUZZ_DONE); }

static char *fuzz_text(const unsigned char *data, size_t n) { return str_copy_n((const char *)data, n); }

static void use_tokenizer(const char *path) {
    Tokenizer *t = tokenizer_load(path);
    static const char *const texts[] = {"ab aab", "Hello world, it's 12\n  caf\xC3\xA9 <|endoftext|></s> \xFF"};
    Ids ids = {0};
    Buf back = {0};
    for (int k = 0; k < 2; k++) {
        ids.count = 0;
        tokenizer_encode(t, texts[k], strlen(texts[k]), true, &ids);
        for (size_t i = 0; i < ids.count; i++)
            if (ids.data[i] < 0 || (size_t)ids.data[i] >= tokenizer_size(t)) abort();
        tokenizer_decode(t, ids.data, ids.count, true, &back);
    }
    ids_free(&ids), buf_free(&back), tokenizer_free(t);
}

static void fuzz_gguf(const unsigned char *data, size_t n) {
    const char *path = fuzz_file("x.gguf", data, n);
    Gguf *g = gguf_open(path);
    for (size_t i = 0; i < gguf_count(g); i++) {
        const GgufTensor *t = gguf_tensor(g, i);
        float row[256];
        if (t->dims[0] <= 256) ggml_dequantize(t->type, t->data, row, (size_t)t->dims[0]);
    }
    char *kind = gguf_text(g, "general.type", "model");
    bool tokens = gguf_get(g, "tokenizer.ggml.model") != NULL;
    gguf_close(g);
    mem_free(chat_text_of(path));
    if (tokens) use_tokenizer(path);
    if (!strcmp(kind, "model")) model_free(gguf_load(path, true));
    mem_free(kind);
}

static void fuzz_safetensors(const unsigned char *data, size_t n) {
    SafeTensors *s = st_open(fuzz_file("x.safetensors", data, n));
    for (size_t i = 0; i < st_count(s); i++) {
        const StTensor *t = st_tensor(s, i);
        if (st_find(s, t->name) != t) abort();
        if (t->bytes >= 4 && (t->type == ST_F32 || t->type == ST_F16 || t->type == ST_BF16)) (void)st_value(t, 0);
        if (t->bytes) (void)*(volatile const unsigned char *)(t->data + t->bytes - 1);
    }
    (void)st_note(s, "base_tensors");
    st_close(s);
}

static void fuzz_json(const unsigned char *data, size_t n) {
    JsonDoc *doc = json_parse((const char *)data, n, "input", 1);
    JsonWriter once = {0}, twice = {0};
    jw_copy(&once, NULL, json_root(doc));
    json_free(doc);
    doc = json_parse(once.text.data, once.text.len, "written", 1); /* what was written is read, and written the same */
    jw_copy(&twice, NULL, json_root(doc));
    if (once.text.len != twice.text.len || memcmp(once.text.data, twice.text.data, once.text.len)) abort();
    json_free(doc), buf_free(&once.text), buf_free(&twice.text);
}

static void fuzz_config(const unsigned char *data, size_t n) {
    JsonDoc *doc = json_parse((const char *)data, n, "config.json", 1);
    Config c = config_of_json(doc);
    Buf text = hf_config_text(&c);
    JsonDoc *again = json_parse(text.data, text.len, "written", 1);
    (void)config_of_json(again);
    json_free(doc), json_free(again), buf_free(&text);
}

static void fuzz_tokenizer_json(const unsigned char *data, size_t n) { use_tokenizer(fuzz_file("x.json", data, n)); }
static void fuzz_sentencepiece(const unsigned char *data, size_t n) { use_tokenizer(fuzz_file("x.model", data, n)); }
static void fuzz_llama2c_tokenizer(const unsigned char *data, size_t n) { use_tokenizer(fuzz_file("tokenizer.bin", data, n)); }
static void fuzz_llama2c(const unsigned char *data, size_t n) { model_free(model_load(fuzz_file("x.bin", data, n), true)); }

static void fuzz_rows(const unsigned char *data, size_t n) {
    static const char *const names[] = {"x.jsonl", "x.json", "x.csv", "x.tsv"};
    if (!n) return;
    Rows *r = rows_open(fuzz_file(names[data[0] & 3], data + 1, n - 1), NULL, !(data[0] & 4));
    for (size_t i = 0; i < rows_count(r); i++) (void)rows_get(r, i);
    rows_free(r);
}

static void fuzz_template(const unsigned char *data, size_t n) {
    Buf form = {0};
    if (jinja_canonical((const char *)data, n, &form) && form.len > 8 * n + 64) abort();
    buf_free(&form);
    chat_free(chat_load(fuzz_file("x.jinja", data, n)));
}

/* The expression, a line end, the text. */
static void fuzz_pattern(const unsigned char *data, size_t n) {
    char *regex = fuzz_text(data, n), *text = strchr(regex, '\n');
    if (text) {
        *text++ = 0;
        (void)name_covers(regex, text), (void)name_ends(text, regex);
        if (regex_is_one(regex)) (void)regex_matches(regex, text, "targets");
    }
    mem_free(regex);
}

/* ---- what needs a model: a Llama of one layer ---- */

static Model *fuzz_model(void) {
    Config c = {.family = FAMILY_LLAMA, .vocab = 8, .ctx = 8, .dim = 4, .layers = 1, .heads = 2, .kv_heads = 1, .head_dim = 2, .ffn = 4, .norm_eps = 1e-5,
                .rope_theta = 100, .init_std = 0.02, .bos = 0, .pad = -1};
    Model *m = model_new(&c, "fuzz");
    model_alloc_weights(m);
    for (size_t i = 0; i < m->count; i++)
        for (size_t j = 0; j < param_size(m->params[i]); j++) ((real *)m->params[i]->w)[j] = (real)(j % 3 + 1);
    return m;
}

static void use_adapter(const char *path) {
    Model *m = fuzz_model();
    adapter_load(m, path, "fuzz", true);
    lora_merge(m, 1);
    model_free(m);
}

static void fuzz_peft(const unsigned char *data, size_t n) {
    use_adapter(FUZZ_FOLDER("peft/", data, n, "adapter_config.json", "adapter_model.safetensors"));
}
static void fuzz_mlx(const unsigned char *data, size_t n) {
    use_adapter(FUZZ_FOLDER("mlx/", data, n, "adapter_config.json", "adapters.safetensors"));
}
static void fuzz_gguf_lora(const unsigned char *data, size_t n) { use_adapter(fuzz_file("lora.gguf", data, n)); }

static void fuzz_model_folder(const unsigned char *data, size_t n) {
    model_free(model_load(FUZZ_FOLDER("model/", data, n, "config.json", "generation_config.json", "model.safetensors"), true));
}

static void fuzz_shards(const unsigned char *data, size_t n) {
    st_close(st_open(FUZZ_FOLDER("shards/", data, n, "model.safetensors.index.json", "a.safetensors", "b.safetensors")));
}

static void fuzz_fisher(const unsigned char *data, size_t n) {
    Model *m = fuzz_model();
    fisher_free(fisher_read(fuzz_file("fisher.safetensors", data, n), m));
    model_free(m);
}

/* A state.json is believed about what its hashes cover: so the tensors are read without it, too. */
static void fuzz_checkpoint(const unsigned char *data, size_t n) {
    char *dir = str_copy(FUZZ_FOLDER("run/checkpoints/step-00000001/", data, n, "state.json", "config.json", "state.safetensors", "model.safetensors"));
    char *out = str_copy_n(dir, strlen(dir) - strlen("/checkpoints/step-00000001")), *log = str_format("%s/log.jsonl", out);
    fuzz_file("run/log.jsonl", (const unsigned char[100]){0}, 100);
    Run r = {.out = out, .log = os_log_open(log)};
    Model *m = fuzz_model();
    State s;
    model_alloc_training(m, true);
    checkpoint_load(&r, m, &s);
    checkpoint_weights(&r, m, 1);
    fuzz_done();
}

/* ---- what commands read of each other, and of users ---- */

static void fuzz_tokenizer_folder(const unsigned char *data, size_t n) {
    const char *dir = FUZZ_FOLDER("tokenizer/", data, n, "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json");
    chat_free(chat_of_folder(dir));
    use_tokenizer(dir);
}

static void fuzz_run(const unsigned char *data, size_t n) {
    RunLog run = run_log_read(FUZZ_FOLDER("logged/", data, n, "run.json", "log.jsonl"));
    Report r = {.floor = 1, .runs = &run, .run_count = 1};
    (void)report_page(&r);
    fuzz_done();
}

static void fuzz_results(const unsigned char *data, size_t n) {
    JsonDoc *doc = json_parse((const char *)data, n, "result.json", 1);
    Report r = {.floor = not_known(), .results = &doc, .result_count = 1};
    (void)report_page(&r);
    fuzz_done();
}

/* The model that it names is nowhere: there a sweep that is well described ends. */
static void fuzz_sweep(const unsigned char *data, size_t n) {
    Catch c;
    if (memchr(data, '/', n) || memchr(data, '\\', n)) return;
    if (!setjmp(catch_begin(&c)->jump)) {
        sweep_run(fuzz_file("sweep.json", data, n), fuzz_dir, false, false);
        catch_end(&c);
    } else if (c.code != EXIT_BAD_INPUT) work_failed("%s", c.text);
    else bad_input("%s", strstr(c.text, "no such model") ? FUZZ_DONE : c.text);
}

static void fuzz_flags(const unsigned char *data, size_t n) {
    bool on = false;
    size_t size = 3;
    double number = 0.5;
    const char *text = "none", *model = NULL;
    Flag flags[] = {{"--on", FLAG_SWITCH, DEFINING, &on, 0, 0, NULL, "a switch", false},
                    {"--size", FLAG_SIZE, DEFINING, &size, 1, 9, "N", "a size", false},
                    {"--number", FLAG_REAL, DEFINING, &number, 0, 1, "X", "a number", false},
                    {"--text", FLAG_TEXT, DEFINING, &text, 0, 0, "TEXT", "a text", false},
                    {"--model", FLAG_MODEL, EXECUTION, &model, 0, 0, "DIR", "a model", false}};
    Command c = {.name = "fuzz", .summary = "", .usage = "", .example = "", .flags = flags, .count = sizeof flags / sizeof *flags};
    char *words[] = {"--config", (char *)(uintptr_t)fuzz_file("flags.json", data, n)};
    JsonWriter w = {0};
    cli_parse(&c, 2, words, 0);
    jw_object(&w, NULL), cli_record(&c, &w), jw_end_object(&w);
    fuzz_done();
}

/* A vocabulary learnt from a text gives the text back. */
static void fuzz_training(const unsigned char *data, size_t n) {
    BpeTrainer *b = bpe_trainer_new();
    bpe_trainer_add(b, (const char *)data, n);
    Tokenizer *t = bpe_train(b, 280);
    Ids ids = {0};
    Buf back = {0};
    tokenizer_encode(t, (const char *)data, n, false, &ids);
    tokenizer_decode(t, ids.data, ids.count, true, &back);
    if (back.len != n || (n && memcmp(back.data, data, n))) abort();
    ids_free(&ids), buf_free(&back), tokenizer_free(t);
}

/* The right answer, a line of two dashes, what a model wrote. */
static void fuzz_score(const unsigned char *data, size_t n) {
    const char *dir = FUZZ_FOLDER("score/", data, n, "right", "answer");
    char *right = os_join(dir, "right"), *answer = os_join(dir, "answer");
    Buf a = os_read(right), b = os_read(answer);
    buf_str(&a, ""), buf_str(&b, "");
    ScoreOptions o = {.kind = (ScoreKind)(a.len % SCORE_CHOICE)}; /* one of those that compare texts */
    bool valid;
    if (!score_answer(&o, &a, &a, "right", &valid) && o.kind != SCORE_REGEX) abort();
    (void)score_answer(&o, &b, &a, "right", &valid);
    fuzz_done();
}

static void fuzz_suite(const unsigned char *data, size_t n) {
    const char *dir = FUZZ_FOLDER("suite/", data, n, "world.json", "suite.jsonl");
    char *path = os_join(dir, "suite.jsonl");
    Tokenizer *t = bpe_train(bpe_trainer_new(), 257);
    measure_task(path, "suite", HALF_ALL, t, "plain", NULL, not_known(), 1);
    fuzz_done();
}

static const struct {
    const char *name;
    void (*run)(const unsigned char *data, size_t n);
} targets[] = {{"gguf", fuzz_gguf}, {"safetensors", fuzz_safetensors}, {"json", fuzz_json}, {"config", fuzz_config},
               {"tokenizer_json", fuzz_tokenizer_json}, {"sentencepiece", fuzz_sentencepiece}, {"llama2c", fuzz_llama2c},
               {"llama2c_tokenizer", fuzz_llama2c_tokenizer}, {"rows", fuzz_rows}, {"template", fuzz_template}, {"pattern", fuzz_pattern},
               {"peft", fuzz_peft}, {"mlx", fuzz_mlx}, {"gguf_lora", fuzz_gguf_lora}, {"model_folder", fuzz_model_folder}, {"shards", fuzz_shards},
               {"fisher", fuzz_fisher}, {"checkpoint", fuzz_checkpoint}, {"tokenizer_folder", fuzz_tokenizer_folder}, {"run", fuzz_run},
               {"results", fuzz_results}, {"sweep", fuzz_sweep}, {"flags", fuzz_flags}, {"training", fuzz_training}, {"score", fuzz_score}, {"suite", fuzz_suite}};
enum { TARGETS = sizeof targets / sizeof *targets };

static void fuzz_begin(const char *dir) {
    snprintf(fuzz_dir, sizeof fuzz_dir, "%.190s", dir);
    os_make_dir(dir);
}

static char fuzz_refusal[2048]; /* of the last input; empty: it was taken */

/* NULL: as it must be; else what was wrong. */
static const char *fuzz_one(void (*run)(const unsigned char *data, size_t n), const unsigned char *data, size_t n) {
    static char wrong[2200];
    Catch c;
    size_t before = mem_in_use();
    bool failed = false;
    if (!setjmp(catch_begin(&c)->jump)) {
        run(data, n);
        catch_end(&c);
    } else failed = strcmp(c.text, FUZZ_DONE) != 0;
    snprintf(fuzz_refusal, sizeof fuzz_refusal, "%s", failed ? c.text : "");
    if (failed && c.code != EXIT_BAD_INPUT) return snprintf(wrong, sizeof wrong, "failed with %d: %s", c.code, c.text), wrong;
    if (mem_in_use() != before) return snprintf(wrong, sizeof wrong, "%zu bytes kept", mem_in_use() - before), wrong;
    return NULL;
}

#endif
