/* targets.h: the product's parsers as functions of bytes. Each must end in a result or in bad_input; never in a crash, an assertion, a failure of
 * another kind, memory kept, or memory out of proportion. fuzz.c feeds them from libFuzzer, test_fuzz.c from the corpus. */
#ifndef TARGETS_H
#define TARGETS_H

#include "../../chat.h"
#include "../../gguf_model.h"
#include "../../hf.h"
#include "../../jinja.h"
#include "../../pattern.h"
#include "../../rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where the bytes of the current input stand as a file; in memory, where there is such a place. */
static char fuzz_dir[200];

static const char *fuzz_file(const char *name, const unsigned char *data, size_t n) {
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", fuzz_dir, name);
    FILE *f = fopen(path, "wb");
    if (!f || (n && fwrite(data, 1, n, f) != n) || fclose(f)) abort();
    return path;
}

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

static const struct {
    const char *name;
    void (*run)(const unsigned char *data, size_t n);
} targets[] = {{"gguf", fuzz_gguf}, {"safetensors", fuzz_safetensors}, {"json", fuzz_json}, {"config", fuzz_config},
               {"tokenizer_json", fuzz_tokenizer_json}, {"sentencepiece", fuzz_sentencepiece}, {"llama2c", fuzz_llama2c},
               {"llama2c_tokenizer", fuzz_llama2c_tokenizer}, {"rows", fuzz_rows}, {"template", fuzz_template}, {"pattern", fuzz_pattern}};
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
    } else failed = true;
    snprintf(fuzz_refusal, sizeof fuzz_refusal, "%s", failed ? c.text : "");
    if (failed && c.code != EXIT_BAD_INPUT) return snprintf(wrong, sizeof wrong, "failed with %d: %s", c.code, c.text), wrong;
    if (mem_in_use() != before) return snprintf(wrong, sizeof wrong, "%zu bytes kept", mem_in_use() - before), wrong;
    return NULL;
}

#endif
