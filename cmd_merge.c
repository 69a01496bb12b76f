/* merge: an adapter into the weights, or a part of the way from a base to a tuned model; with proof. */
#include "commands.h"
#include "dataset.h"
#include "hash.h"
#include "lora.h"
#include "merge.h"
#include "opening.h"
#include "os.h"
#include "weights.h"

#include <stdio.h>
#include <string.h>

typedef struct {
    Common common;
    ModelFlags base;
    const char *tuned, *out, *text, *dtype;
    double scale, max_diff;
    bool force, limited;              /* limited: --max-diff was given */
} Options;

enum { PROOF_TOKENS = 2048, PROOF_CTX = 512 };   /* of the text that both are compared on */

/* The beginning of the text; without one, ids drawn at random. */
static Batch proof_text(const Options *o, const Model *m) {
    const Config *config = &m->config;
    Batch b = {0};
    size_t ctx = config->ctx < PROOF_CTX ? config->ctx : PROOF_CTX;
    if (!o->text) {
        int32_t *ids = mem_new(ctx, sizeof *ids);
        for (uint64_t row = 0; row * ctx < PROOF_TOKENS; row++) {
            for (size_t i = 0; i < ctx; i++) ids[i] = (int32_t)rng_below((uint32_t)config->vocab, (uint32_t)o->common.seed, RNG_TEST, i, row);
            batch_add(&b, ids, ids, NULL, ctx);
        }
        mem_free(ids);
        fprintf(stderr, "merge: no --text: compared on %zu random tokens\n", b.tokens);
        return b;
    }
    Tokenizer *tok = open_tokenizer(&o->base, m, true);
    Texts texts = texts_read(o->text);
    Corpus c = corpus_new(&texts, tok, ctx);
    if (!c.pairs) bad_input("%s: no two tokens follow each other: nothing to compare on", o->text);
    for (size_t row = 0; row < corpus_rows(&c) && b.tokens < PROOF_TOKENS; row++) corpus_add_row(&c, row, &b);
    corpus_free(&c), texts_free(&texts), tokenizer_free(tok);
    return b;
}

/* What a folder holds beside its weights and its config, from wherever it is newest: a tuned folder has the template it was tuned with. */
static void copy_companions(const char *from, const char *to) {
    static const char *const names[] = {"tokenizer.json", "tokenizer_config.json", "tokenizer.model", "special_tokens_map.json", "added_tokens.json",
                                        "vocab.json", "merges.txt", "chat_template.jinja", "generation_config.json"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *path = os_join(from, names[i]);
        if (os_exists(path)) os_copy_file(from, to, names[i]);
        mem_free(path);
    }
}

/* Whole or not at all: written beside its place, renamed at the end. */
static void write_model(const Options *o, const Model *m) {
    char *tmp = str_format("%s.tmp-merge", o->out);
    uint64_t bytes = (uint64_t)model_parameters(m) * (m->config.saved_as == STORED_REAL ? 4 : 2);
    os_need_space(o->out, bytes, "the merged model", "make room, or name an --out on another disk");
    os_remove_tree(tmp);
    os_make_dir(tmp);
    model_save(m, tmp);
    Tokenizer *tok = os_is_dir(o->base.model) ? NULL : open_tokenizer(&o->base, m, false);
    if (os_is_dir(o->base.model)) copy_companions(o->base.model, tmp);
    else if (tok) tokenizer_save(tok, tmp);
    copy_companions(o->base.adapter ? o->base.adapter : o->tuned, tmp);
    os_sync_dir(tmp);
    os_remove_tree(o->out);
    os_rename(tmp, o->out);
    mem_free(tmp);
}

static void print_apart(ResultLine *r, const char *prefix, const Apart *a) {
    char *difference = str_format("%smax_logit_difference", prefix), *agreement = str_format("%sgreedy_agreement", prefix);
    result_number(r, difference, a->difference);
    result_number(r, agreement, (double)a->agreed / (double)a->tokens);
    mem_free(difference), mem_free(agreement);
}

/* Sixteen bits round each weight by up to 1/512 (bf16) of itself, so what that does to a logit grows with the logits. */
static double limit_of(const Options *o, Stored as, const Apart *d) {
    return o->limited || as == STORED_REAL ? o->max_diff : 0.05 * d->largest;
}

static int merge_adapter(const Options *o, size_t dtype) {
    Model *apart = open_weights(&o->base, true), *merged = open_weights(&o->base, true);
    Stored as = dtype_stored(dtype, merged);
    lora_scale(apart, o->scale);
    lora_merge(merged, o->scale);
    model_store(merged, as);
    Batch b = proof_text(o, apart);
    Apart d = models_apart(apart, merged, &b);
    ResultLine r = result_begin(o->common.json);
    print_apart(&r, "", &d);
    result_number(&r, "largest_logit", d.largest), result_count(&r, "tokens", d.tokens);
    result_print(&r);
    double most = limit_of(o, as, &d);
    if (!(d.difference <= most)) {
        ResultLine limit = {0};
        result_number(&limit, "max_logit_difference", d.difference), result_number(&limit, "above --max-diff", most);
        work_failed("%s is not written: %s; take --dtype f32, or a higher --max-diff", o->out, limit.text.data);
    }
    write_model(o, merged);
    return 0;
}

static int interpolate(const Options *o, size_t dtype) {
    if (is_adapter(o->tuned)) bad_input("%s is an adapter: name it with --adapter", o->tuned);
    Model *base = model_load(o->base.model, false), *tuned = model_load(o->tuned, false), *between = model_load(o->base.model, false);
    model_interpolate(between, tuned, o->scale, o->base.model, o->tuned);
    model_store(between, dtype_stored(dtype, between));
    Batch b = proof_text(o, base);
    Apart from = models_apart(base, between, &b), to = models_apart(tuned, between, &b);
    ResultLine r = result_begin(o->common.json);
    print_apart(&r, "base_", &from), print_apart(&r, "tuned_", &to);
    result_count(&r, "tokens", to.tokens);
    result_print(&r);
    write_model(o, between);
    return 0;
}

static void print_out(const Options *o) {
    char hex[65];
    hash_folder(o->out, hex);
    ResultLine r = result_begin(o->common.json);
    result_text(&r, "out", o->out), result_text(&r, "sha256", hex);
    result_print(&r);
}

static void check_out(const Options *o) {
    if (!os_exists(o->out)) return;
    if (!o->force) bad_input("%s exists: name another --out, or add --force to replace it", o->out);
    char *config = os_join(o->out, "config.json");
    const char *const sources[] = {o->base.model, o->base.adapter, o->tuned};
    for (int i = 0; i < 3; i++)
        if (sources[i] && !strcmp(sources[i], o->out)) bad_input("%s is what is merged: name another --out", o->out);
    if (!os_is_dir(o->out) || !os_exists(config)) bad_input("%s exists and is no model folder: --force does not replace it; name another --out", o->out);
    mem_free(config);
}

int cmd_merge(int argc, char **argv) {
    Options o = {.scale = 1, .dtype = "f32", .max_diff = 0.01, .common = {.seed = 1}};
    Flag flags[] = {
        MODEL_FLAGS(o.base),
        {"--tuned", FLAG_MODEL, EXECUTION, &o.tuned, 0, 0, "DIR", "instead: a model that was tuned from it; --scale lies between", false},
        {"--out", FLAG_TEXT, EXECUTION, &o.out, 0, 0, "DIR", "model folder to write; must not exist", false},
        {"--scale", FLAG_REAL, DEFINING, &o.scale, -10, 10, "X", "part of the way from the base: 0 is the base, 1 all of it", false},
        {"--dtype", FLAG_TEXT, DEFINING, &o.dtype, 0, 0, "NAME", "of the weights written: f32, bf16, f16, or source: as the base has them", false},
        {"--text", FLAG_TEXT, EXECUTION, &o.text, 0, 0, "FILE", "what adapter and merged weights are compared on: its first 2048 tokens", false},
        {"--max-diff", FLAG_REAL, EXECUTION, &o.max_diff, 0, 1e9, "X", "greatest difference of a logit; in 16 bits, unless given, 0.05 of the largest", false},
        {"--force", FLAG_SWITCH, EXECUTION, &o.force, 0, 0, NULL, "replace a model in --out", false},
        COMMON_FLAGS(o.common)};
    Command c = {.name = "merge", .summary = "adapter into weights, or part of the way from a base to a tuned model",
                 .usage = "--model DIR (--adapter DIR | --tuned DIR) --out DIR [flags]", .flags = flags, .count = sizeof flags / sizeof *flags,
                 .example = "finetune merge --model demo-out/base --adapter adapter --out merged --text valid.txt\n"
                            "finetune merge --model demo-out/base --tuned tuned --scale 0.5 --out between"};
    if (!cli_parse(&c, argc, argv, 0)) return 0;
    cli_need(&c, "--model"), cli_need(&c, "--out");
    if (!o.base.adapter == !o.tuned) bad_input("merge needs --adapter DIR, or --tuned DIR: one of them");
    if (o.tuned && cli_given(&c, "--max-diff")) bad_input("--max-diff is for an adapter: what lies between two models equals neither");
    o.limited = cli_given(&c, "--max-diff");
    size_t dtype = dtype_choice(o.dtype);
    check_out(&o);
    cli_threads(&o.common);
    int code = o.base.adapter ? merge_adapter(&o, dtype) : interpolate(&o, dtype);
    print_out(&o);
    return code;
}
