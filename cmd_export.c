/* export: a model, or an adapter merged into it, as one file of llama.cpp's; with proof of what that costs. */
#include "chat.h"
#include "commands.h"
#include "eval.h"
#include "gguf_model.h"
#include "hash.h"
#include "merge.h"
#include "opening.h"
#include "weights.h"

#include <stdio.h>
#include <string.h>

typedef struct {
    Common common;
    ModelFlags open;
    const char *gguf, *ollama, *out, *text, *template_name, *name;
    bool lora, force;
} Options;

enum { PROOF_CTX = 512 };   /* tokens that see each other in the comparison */

/* ---- the file against the model ---- */

/* Both tokenizers must see the same text. */
static void check_ids(Tokenizer *a, Tokenizer *b, const Texts *texts, const char *path) {
    for (size_t i = 0; i < texts->count; i++) {
        Ids one = {0}, two = {0};
        tokenizer_encode(a, texts->documents[i].text, texts->documents[i].length, false, &one);
        tokenizer_encode(b, texts->documents[i].text, texts->documents[i].length, false, &two);
        if (one.count != two.count || (one.count && memcmp(one.data, two.data, one.count * sizeof *one.data)))
            work_failed("%s: its tokenizer makes %zu tokens of document %zu, the model's own makes %zu, or others: please report this tokenizer", path,
                        two.count, i + 1, one.count);
        ids_free(&one), ids_free(&two);
    }
}

static Apart agreement(const Model *a, const Model *b, const Corpus *c) {
    Apart all = {0};
    for (size_t row = 0; row < corpus_rows(c); row++) {
        Batch batch = {0};
        corpus_add_row(c, row, &batch);
        Apart d = models_apart(a, b, &batch);
        if (!(d.difference <= all.difference)) all.difference = d.difference;
        all.tokens += d.tokens, all.agreed += d.agreed;
        batch_free(&batch);
    }
    return all;
}

static double bpb_of(const Model *m, const Corpus *c, const Tokenizer *tok) {
    Pass *p = pass_new(m, c->ctx, false, false);
    TextScore s = score_corpus(m, p, c, tok);
    pass_free(p);
    return score_bpb(&s);
}

static void prove(const Options *o, const Model *m, Tokenizer *tok, const char *path) {
    Model *file = model_load(path, true);
    Tokenizer *own = tokenizer_load(path);
    Texts texts = texts_read(o->text);
    check_ids(tok, own, &texts, path);
    Corpus c = corpus_new(&texts, tok, m->config.ctx < PROOF_CTX ? m->config.ctx : PROOF_CTX);
    if (!c.pairs) bad_input("%s: no two tokens follow each other: nothing to compare on", o->text);
    Apart d = agreement(m, file, &c);
    ResultLine r = result_begin(o->common.json);
    result_number(&r, "bpb", bpb_of(m, &c, tok)), result_number(&r, "file_bpb", bpb_of(file, &c, tok));
    result_number(&r, "greedy_agreement", (double)d.agreed / (double)d.tokens), result_number(&r, "max_logit_difference", d.difference);
    result_count(&r, "tokens", d.tokens), result_count(&r, "bytes", c.bytes);
    result_print(&r);
    corpus_free(&c), texts_free(&texts), tokenizer_free(own), model_free(file);
}

/* ---- the three forms ---- */

static void print_file(const Options *o, const char *path) {
    char hex[65];
    hash_file(path, hex);
    OsMap map = os_map(path);
    ResultLine r = result_begin(o->common.json);
    result_text(&r, "out", path), result_count(&r, "file_bytes", map.size), result_text(&r, "sha256", hex);
    result_print(&r);
    os_unmap(&map);
}

static GgmlType type_of(const char *name) {
    static const char *const names[] = {"F32", "F16", "BF16", "Q8_0"};
    static const GgmlType types[] = {GGML_F32, GGML_F16, GGML_BF16, GGML_Q8_0};
    return types[cli_choice("--gguf", name, names, 4)];
}

static Model *open_merged(const Options *o) {
    Model *m = open_weights(&o->open, true);
    if (m->adapter) lora_merge(m, 1);
    return m;
}

/* As the flag says, or as it stands beside the model; known here or not. */
static char *template_text(const Options *o, const Tokenizer *tok) {
    const char *dir = template_folder(&o->open);
    if (!o->template_name) return dir ? chat_text_of(dir) : NULL;
    Buf text = {0};
    Chat *c = chat_load(o->template_name);
    chat_jinja(c, tokenizer_adds_bos(tok), &text);
    chat_free(c);
    return text.data;
}

static void write_model(const Options *o, const Model *m, Tokenizer *tok, bool writes_bos, const char *path) {
    char *text = tok ? template_text(o, tok) : NULL;
    GgufChat chat = {.chat_template = text, .writes_bos = writes_bos};
    uint64_t parameters = model_parameters(m), bits = !strcmp(o->gguf, "F32") ? 32 : !strcmp(o->gguf, "Q8_0") ? 8 : 16;
    os_need_space(path, parameters * bits / 8, "the model", "make room, or name a place on another disk");
    gguf_export(m, tok, &chat, type_of(o->gguf), o->name, path);
    mem_free(text);
    if (o->text) prove(o, m, tok, path);
}

/* The texts of all ids that end an answer. Free the list's members. */
static size_t stops_of(const Model *m, const Tokenizer *tok, const Chat *c, const ChatTokens *tokens, char *stops[MAX_EOS + 1]) {
    size_t count = 0;
    const char *end = chat_end(c, tokens);
    if (*end) stops[count++] = str_copy(end);
    for (int i = 0; i < m->config.eos_count; i++) {
        Buf text = {0};
        bool known = m->config.eos[i] >= (int)tokenizer_size(tok);
        if (!known) tokenizer_decode(tok, &m->config.eos[i], 1, true, &text);
        for (size_t k = 0; k < count && !known; k++) known = !strcmp(stops[k], text.data);
        if (!known) stops[count++] = str_copy(text.data);
        buf_free(&text);
    }
    return count;
}

static void export_ollama(const Options *o) {
    Model *m = open_merged(o);
    Tokenizer *tok = open_tokenizer(&o->open, m, true);
    const char *dir = template_folder(&o->open);
    Chat *c = o->template_name ? chat_load(o->template_name) : dir ? chat_of_folder(dir) : NULL;
    if (!c) bad_input("%s has no chat template: name the one that it was tuned with by --template", o->open.model);
    ChatTokens tokens = chat_tokens(tok);
    char *stops[MAX_EOS + 1], *gguf = os_join(o->ollama, "model.gguf"), *modelfile = os_join(o->ollama, "Modelfile");
    size_t count = stops_of(m, tok, c, &tokens, stops);
    Buf text = {0};
    chat_modelfile(c, &tokens, "model.gguf", (const char *const *)stops, count, &text);
    os_make_dir(o->ollama);
    write_model(o, m, tok, chat_begins_with_bos(c, &tokens), gguf);
    os_write_file(modelfile, text.data, text.len);
    print_file(o, gguf), print_file(o, modelfile);
    const char *name = o->name ? o->name : "tuned";
    fprintf(stderr, "\nollama create %s -f %s\nollama run %s\n", name, modelfile, name);
    for (size_t i = 0; i < count; i++) mem_free(stops[i]);
    buf_free(&text), chat_free(c), chat_tokens_free(&tokens), mem_free(gguf), mem_free(modelfile);
}

static void export_model(const Options *o) {
    Model *m = open_merged(o);
    Tokenizer *tok = open_tokenizer(&o->open, m, o->text != NULL);
    if (!tok) fprintf(stderr, "export: %s holds no tokenizer, so the file has none: llama.cpp wants one; name it with --tokenizer\n", o->open.model);
    write_model(o, m, tok, false, o->out);
    print_file(o, o->out);
}

static void export_lora(const Options *o) {
    Model *m = open_weights(&o->open, true);
    gguf_export_lora(m, o->out);
    print_file(o, o->out);
}

static void check_flags(Options *o, const Command *c) {
    cli_need(c, "--model");
    if (!o->gguf + !o->lora + !o->ollama == 3) bad_input("export needs --gguf TYPE, --gguf-lora, or --ollama DIR");
    if (o->lora && (o->gguf || o->ollama)) bad_input("--gguf-lora writes the adapter alone: leave out --gguf and --ollama, or leave out --gguf-lora to merge");
    if (o->lora && !o->open.adapter) bad_input("--gguf-lora needs --adapter DIR");
    if (o->ollama && o->out) bad_input("--ollama names a folder: leave out --out");
    if (!o->ollama) cli_need(c, "--out");
    if (o->lora && o->text) bad_input("--text compares a model: with --gguf-lora there is none; merge by --gguf instead");
    if (!o->gguf) o->gguf = "F16";
    type_of(o->gguf);
    const char *out = o->ollama ? o->ollama : o->out;
    if (os_exists(out) && !o->force) bad_input("%s exists: name another, or add --force to replace it", out);
    if (o->ollama && os_exists(out) && !os_is_dir(out)) bad_input("%s is no folder", out);
    if (!o->ollama && (!gguf_named(out) || os_is_dir(out))) bad_input("--out %s: name a file that ends in .gguf", out);
    if (!strcmp(out, o->open.model)) bad_input("%s is what is exported: name another --out", out);
}

int cmd_export(int argc, char **argv) {
    Options o = {.common = {.seed = 1}};
    Flag flags[] = {
        MODEL_FLAGS(o.open),
        {"--gguf", FLAG_TEXT, DEFINING, &o.gguf, 0, 0, "TYPE", "of the matrices: F32, F16, BF16 or Q8_0; an adapter is merged in first", false},
        {"--gguf-lora", FLAG_SWITCH, DEFINING, &o.lora, 0, 0, NULL, "the adapter alone, for llama.cpp's --lora", false},
        {"--ollama", FLAG_TEXT, EXECUTION, &o.ollama, 0, 0, "DIR", "folder with model.gguf (F16 unless --gguf says) and a Modelfile", false},
        {"--out", FLAG_TEXT, EXECUTION, &o.out, 0, 0, "FILE", "file to write", false},
        {"--text", FLAG_TEXT, EXECUTION, &o.text, 0, 0, "FILE", "the written file and the model are compared on it", false},
        {"--template", FLAG_TEXT, DEFINING, &o.template_name, 0, 0, "NAME", "chat template, when the model's own is missing or another", false},
        {"--name", FLAG_TEXT, DEFINING, &o.name, 0, 0, "NAME", "general.name in the file, and Ollama's name for it", false},
        {"--force", FLAG_SWITCH, EXECUTION, &o.force, 0, 0, NULL, "replace what exists", false},
        COMMON_FLAGS(o.common)};
    Command c = {.name = "export", .summary = "a model or an adapter as a GGUF file for llama.cpp and Ollama",
                 .usage = "--model DIR [--adapter DIR] (--gguf TYPE --out FILE | --gguf-lora --out FILE | --ollama DIR) [flags]",
                 .flags = flags, .count = sizeof flags / sizeof *flags,
                 .example = "finetune export --model SmolLM2-135M-Instruct --adapter adapter --gguf Q8_0 --out tuned.gguf --text valid.txt\n"
                            "finetune export --model SmolLM2-135M-Instruct --adapter adapter --ollama tuned"};
    if (!cli_parse(&c, argc, argv, 0)) return 0;
    check_flags(&o, &c);
    cli_threads(&o.common);
    if (o.ollama) export_ollama(&o);
    else if (o.lora) export_lora(&o);
    else export_model(&o);
    return 0;
}
