/* Models and adapters into llama.cpp's files, with the types that llama.cpp's own conversion gives each tensor. */
#include "gguf_model.h"

#include "fp.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static void put_key_uint(GgufWriter *w, const char *architecture, const char *name, uint64_t value) {
    char *key = str_format("%s.%s", architecture, name);
    gguf_put_uint(w, key, value);
    mem_free(key);
}

static void put_key_float(GgufWriter *w, const char *architecture, const char *name, double value) {
    char *key = str_format("%s.%s", architecture, name);
    gguf_put_float(w, key, value);
    mem_free(key);
}

static void put_string(GgufWriter *w, const char *key, const char *text) { gguf_put_text(w, key, text, strlen(text)); }

/* ---- models ---- */

static void put_config(GgufWriter *w, const Config *c) {
    const char *a = gguf_architecture(c);
    bool gpt2 = c->family == FAMILY_GPT2;
    put_key_uint(w, a, "vocab_size", c->vocab), put_key_uint(w, a, "context_length", c->ctx), put_key_uint(w, a, "embedding_length", c->dim);
    put_key_uint(w, a, "block_count", c->layers), put_key_uint(w, a, "feed_forward_length", c->ffn);
    put_key_uint(w, a, "attention.head_count", c->heads), put_key_uint(w, a, "attention.head_count_kv", c->kv_heads);
    put_key_float(w, a, gpt2 ? "attention.layer_norm_epsilon" : "attention.layer_norm_rms_epsilon", c->norm_eps);
    if (gpt2) return;
    put_key_uint(w, a, "attention.key_length", c->head_dim), put_key_uint(w, a, "attention.value_length", c->head_dim);
    put_key_uint(w, a, "rope.dimension_count", c->head_dim), put_key_float(w, a, "rope.freq_base", c->rope_theta);
    if (c->rope_kind != ROPE_LINEAR) return;
    char *key = str_format("%s.rope.scaling.type", a);
    put_string(w, key, "linear");
    put_key_float(w, a, "rope.scaling.factor", c->rope_factor);
    mem_free(key);
}

/* Vectors and GPT-2's positions stay floats; a row of no whole Q8_0 blocks is F16. */
static GgmlType type_of(const Param *p, const GgufLayout *l, GgmlType wanted) {
    size_t elements = 1, bytes;
    if (p->rank == 1 || str_ends(p->name, "wpe.weight")) return GGML_F32;
    if (!ggml_block(wanted, &elements, &bytes)) assert(!"a type that is written");
    return l->columns % elements ? GGML_F16 : wanted;
}

static void put_tensor(GgufWriter *w, const Model *m, const Param *p, GgmlType type) {
    GgufLayout l = gguf_layout(m, p);
    uint64_t dims[2] = {l.columns, l.rows};
    char *name = gguf_name(m, p);
    gguf_put_tensor(w, name, type_of(p, &l, type), l.rank, dims);
    mem_free(name);
}

/* The largest half is 65504, and 65520 rounds to infinity. */
static void check_range(const Param *p, GgmlType type, const float *row, size_t n) {
    float most = type == GGML_F16 ? 65519.996f : type == GGML_Q8_0 ? 127 * 65519.996f : 0;
    for (size_t i = 0; most > 0 && i < n; i++)
        if (row[i] > most || row[i] < -most)
            bad_input("%s holds a weight too large for %s: export as BF16 or F32", p->name, ggml_type_name(type));
}

static void put_rows(GgufWriter *w, const Model *m, const Param *p, GgmlType type, float factor) {
    GgufLayout l = gguf_layout(m, p);
    float *row = mem_new(l.columns, sizeof *row);
    type = type_of(p, &l, type);
    for (size_t i = 0; i < l.rows; i++) {
        gguf_row_of(&l, p, i, row);
        for (size_t k = 0; k < l.columns; k++) row[k] *= factor; /* 1 changes nothing */
        check_range(p, type, row, l.columns);
        gguf_put_row(w, row);
    }
    mem_free(row);
}

static uint64_t file_type(GgmlType type) { return type == GGML_F32 ? 0 : type == GGML_F16 ? 1 : type == GGML_Q8_0 ? 7 : 32; }

void gguf_export(const Model *m, const Tokenizer *t, const GgufChat *chat, GgmlType type, const char *name, const char *path) {
    const Config *c = &m->config;
    bool stretched = c->rope_kind == ROPE_LLAMA3;
    uint64_t half_dim = c->head_dim / 2;
    assert(!m->adapter);
    GgufWriter *w = gguf_create(path);
    put_string(w, "general.architecture", gguf_architecture(c));
    put_string(w, "general.type", "model");
    if (name) put_string(w, "general.name", name);
    put_config(w, c);
    gguf_put_uint(w, "general.file_type", file_type(type)), gguf_put_uint(w, "general.quantization_version", 2);
    if (t) gguf_put_tokenizer(w, t, c, chat);
    if (stretched) gguf_put_tensor(w, "rope_freqs.weight", GGML_F32, 1, &half_dim);
    for (size_t i = 0; i < m->count; i++) put_tensor(w, m, m->params[i], type);
    if (stretched) {
        float *factors = mem_new(c->head_dim / 2, sizeof *factors);
        gguf_rope_factors(c, factors);
        gguf_put_row(w, factors);
        mem_free(factors);
    }
    for (size_t i = 0; i < m->count; i++) put_rows(w, m, m->params[i], type, 1);
    gguf_commit(w);
}

/* ---- adapters: tensors NAME.lora_a [r, in] and NAME.lora_b [out, r]; llama.cpp computes W + alpha/r · B A ---- */

static void check_plain(const Model *m) {
    const char *remedy = "llama.cpp's adapters have no such thing: merge it first (finetune merge), then export the model";
    if (m->adapter->options.dora) bad_input("the adapter is DoRA; %s", remedy);
    if (m->tok_rows.rows || m->head_rows.rows) bad_input("the adapter trains rows of the embedding; %s", remedy);
}

void gguf_export_lora(const Model *m, const char *path) {
    const Adapter *a = m->adapter;
    check_plain(m);
    GgufWriter *w = gguf_create(path);
    put_string(w, "general.architecture", gguf_architecture(&m->config));
    put_string(w, "general.type", "adapter");
    put_string(w, "adapter.type", "lora");
    gguf_put_float(w, "adapter.lora.alpha", a->options.alpha);
    gguf_put_uint(w, "general.file_type", 0);
    for (size_t i = 0; i < a->count; i++) put_tensor(w, m, a->loras[i].a, GGML_F32), put_tensor(w, m, a->loras[i].b, GGML_F32);
    for (size_t i = 0; i < a->count; i++) {
        const Lora *l = &a->loras[i];
        double alpha = (double)(float)a->options.alpha; /* as the file has it */
        put_rows(w, m, l->a, GGML_F32, 1);
        put_rows(w, m, l->b, GGML_F32, (float)((double)l->scale * (double)l->rank / alpha));
    }
    gguf_commit(w);
}

/* The Linear's rank in the file, or 0: it has no adapter there. */
static size_t rank_in(const Gguf *g, const Model *m, const Linear *l) {
    char *weight = gguf_name(m, l->w), *a = str_format("%s.lora_a", weight), *b = str_format("%s.lora_b", weight);
    const GgufTensor *ta = gguf_find(g, a), *tb = gguf_find(g, b);
    if (!ta != !tb) bad_input("%s: of %s and %s one is missing: the file is damaged", gguf_path(g), a, b);
    if (ta && (ta->rank != 2 || ta->dims[1] > 65536)) bad_input("%s: tensor %s is no matrix of rank 1 to 65536: the file is damaged", gguf_path(g), a);
    mem_free(weight), mem_free(a), mem_free(b);
    return ta ? (size_t)ta->dims[1] : 0;
}

static void check_adapter_file(const Gguf *g, const Model *m) {
    char *kind = gguf_text(g, "general.type", ""), *type = gguf_text(g, "adapter.type", ""), *a = gguf_text(g, "general.architecture", "");
    if (strcmp(kind, "adapter") || strcmp(type, "lora"))
        bad_input("%s: general.type is \"%.40s\", adapter.type \"%.40s\", expected adapter and lora", gguf_path(g), kind, type);
    if (strcmp(a, gguf_architecture(&m->config)))
        bad_input("%s: an adapter for the architecture \"%.40s\", but the model is %s", gguf_path(g), a, gguf_architecture(&m->config));
    mem_free(kind), mem_free(type), mem_free(a);
}

/* alpha 0 is a scale of 1. */
static LoraOptions options_of(const Gguf *g, const Model *m) {
    LoraOptions o = {0};
    double alpha = gguf_real(g, "adapter.lora.alpha", 0);
    for (size_t layer = 0; layer < m->config.layers; layer++) {
        Linear *list[BLOCK_LINEARS];
        size_t count = block_linears(&m->blocks[layer], list);
        for (size_t i = 0; i < count; i++) {
            size_t rank = rank_in(g, m, list[i]);
            if (rank) lora_add_module(&o, module_name(m, list[i]->w), rank, alpha > 0 || alpha < 0 ? alpha : (double)rank);
        }
    }
    if (!o.target_count) bad_input("%s: no tensor of it belongs to a Linear of this model", gguf_path(g));
    return o;
}

void gguf_adapter_load(Model *m, const char *path, const char *model_path) {
    Gguf *g = gguf_open(path);
    check_adapter_file(g, m);
    LoraOptions o = options_of(g, m);
    if (gguf_count(g) != 2 * o.target_count)
        bad_input("%s: %zu tensors, but %zu belong to Linears of this model: the others (embeddings?) cannot be read here", path, gguf_count(g),
                  2 * o.target_count);
    lora_attach(m, &o);
    for (size_t i = 0; i < m->adapter->count; i++)
        gguf_fill(g, m, m->adapter->loras[i].a, false), gguf_fill(g, m, m->adapter->loras[i].b, false);
    m->adapter->base = str_copy(model_path);
    lora_free_options(&o);
    gguf_close(g);
}
