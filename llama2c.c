/* llama2c: the model files of karpathy/llama2.c, version 0.
 *
 *     int32    dim, hidden_dim, n_layers, n_heads, n_kv_heads, vocab_size (negative: the head is not the embedding), seq_len
 *     float32  tok [V, dim]; of all layers: rms_att, wq, wk, wv, wo, rms_ffn, w1, w2, w3; rms_final;
 *              two RoPE tables [seq_len, head_dim / 2]; the head [V, dim] unless it is the embedding
 *
 * Its RoPE turns the neighbours (2i, 2i+1) of a head, ours turns (i, i + head_dim/2) as Hugging Face's files have it. The score q·k does
 * not see the order of the dimensions, so the rows of wq and wk change places within each head, and nothing else does.
 */
#include "hf.h"

#include <assert.h>
#include <string.h>

enum { HEADER = 7 * 4 };

typedef struct {
    const char *path;
    const unsigned char *at;             /* the next tensor */
} Reader;

static const char *const header_fields[7] = {"dim", "hidden_dim", "n_layers", "n_heads", "n_kv_heads", "vocab_size", "seq_len"};

static Config read_header(const char *path, const OsMap *map) {
    int64_t value[7];
    if (map->size < HEADER)
        bad_input("%s: %zu bytes, expected at least the %d of llama2.c's header: the file is cut short", path, map->size, HEADER);
    for (int i = 0; i < 7; i++) {
        int32_t word;
        memcpy(&word, map->data + 4 * i, sizeof word);
        value[i] = word;
    }
    if (value[0] == 0x616b3432) /* "ak42" */
        bad_input("%s: llama2.c's file version 1 or 2, expected version 0: "
                  "export it again with --version 0, or with --version -1 as a Hugging Face folder",
                  path);
    bool tied = value[5] > 0;
    if (!tied) value[5] = -value[5];
    static const int64_t most[7] = {65536, 1 << 20, 1024, 1024, 1024, 4000000, 1 << 20};
    for (int i = 0; i < 7; i++)
        if (value[i] < 1 || value[i] > most[i])
            bad_input("%s: %s at byte %d is %lld, expected 1 to %lld: no llama2.c model, or a damaged one", path, header_fields[i], 4 * i,
                      (long long)value[i], (long long)most[i]);
    size_t dim = (size_t)value[0], heads = (size_t)value[3];
    if (dim % heads || dim / heads % 2)
        bad_input("%s: dim %zu over n_heads %zu is no even head dimension: no llama2.c model, or a damaged one", path, dim, heads);
    Config c = {.family = FAMILY_LLAMA, .dim = dim, .ffn = (size_t)value[1], .layers = (size_t)value[2], .heads = heads,
                .kv_heads = (size_t)value[4], .vocab = (size_t)value[5], .ctx = (size_t)value[6], .head_dim = dim / heads, .tied = tied,
                .norm_eps = 1e-5, .rope_theta = 10000, .init_std = 0.02, .bos = value[5] > 1 ? 1 : -1, .pad = -1};
    if (value[5] > 2) c.eos[c.eos_count++] = 2;
    return c;
}

/* In floats. With the limits above every product stays below 2^56. */
static uint64_t floats_expected(const Config *c) {
    uint64_t q = c->heads * c->head_dim, kv = c->kv_heads * c->head_dim;
    uint64_t layer = 2 * c->dim + 2 * c->dim * q + 2 * c->dim * kv + 3 * c->dim * c->ffn;
    return (c->tied ? 1u : 2u) * c->vocab * c->dim + c->layers * layer + c->dim + c->ctx * c->head_dim;
}

static void read_param(Reader *r, Param *p) {
    size_t n = param_size(p);
    check_finite(r->path, p->name, ST_F32, r->at, n);
    real *w = p->w;
    for (size_t i = 0; i < n; i++, r->at += sizeof(float)) {
        float x;
        memcpy(&x, r->at, sizeof x);
        w[i] = (real)x;
    }
}

/* Rows 2i and 2i+1 of each head become its rows i and i + D/2. */
static void split_halves(Param *p, size_t D) {
    size_t rows = p->shape[0], columns = p->shape[1];
    real *w = p->w, *old = mem_new(rows * columns, sizeof *old);
    memcpy(old, w, rows * columns * sizeof *w);
    for (size_t row = 0; row < rows; row++) {
        size_t head = row / D * D, i = row % D;
        memcpy(w + (head + i / 2 + i % 2 * (D / 2)) * columns, old + row * columns, columns * sizeof *w);
    }
    mem_free(old);
}

static void read_weights(Reader *r, Model *m) {
    const Config *c = &m->config;
    size_t L = c->layers;
    read_param(r, m->tok);
    for (size_t i = 0; i < L; i++) read_param(r, m->blocks[i].norm1.w);
    for (int k = 0; k < 3; k++)
        for (size_t i = 0; i < L; i++) read_param(r, m->blocks[i].qkv[k].w);
    for (size_t i = 0; i < L; i++) read_param(r, m->blocks[i].out.w);
    for (size_t i = 0; i < L; i++) read_param(r, m->blocks[i].norm2.w);
    for (size_t i = 0; i < L; i++) read_param(r, m->blocks[i].in[0].w); /* w1: gate */
    for (size_t i = 0; i < L; i++) read_param(r, m->blocks[i].down.w);  /* w2 */
    for (size_t i = 0; i < L; i++) read_param(r, m->blocks[i].in[1].w); /* w3: up */
    read_param(r, m->norm_f.w);
    r->at += c->ctx * c->head_dim * sizeof(float);
    if (!c->tied) read_param(r, m->head.w);
    for (size_t i = 0; i < L; i++)
        for (int k = 0; k < 2; k++) split_halves(m->blocks[i].qkv[k].w, c->head_dim);
}

static Model *load(const char *path, bool outline) {
    OsMap map = os_map(path);
    Config c = read_header(path, &map);
    uint64_t bytes = HEADER + 4 * floats_expected(&c);
    if (map.size != bytes)
        bad_input("%s: %zu bytes, expected %llu by its header (dim %zu, hidden_dim %zu, n_layers %zu, n_heads %zu, n_kv_heads %zu, "
                  "vocab_size %zu%s, seq_len %zu): the file is cut short, damaged, or no llama2.c model of version 0",
                  path, map.size, (unsigned long long)bytes, c.dim, c.ffn, c.layers, c.heads, c.kv_heads, c.vocab, c.tied ? "" : " untied",
                  c.ctx);
    Model *m = model_new(&c, path);
    if (!outline) {
        Reader r = {path, map.data + HEADER};
        model_alloc_weights(m);
        read_weights(&r, m);
        assert(r.at == map.data + map.size);
    }
    os_unmap(&map);
    return m;
}

Model *llama2c_load(const char *path) { return load(path, false); }
Model *llama2c_outline(const char *path) { return load(path, true); }
