/* decode: the forward pass a few tokens at a time, keys and values kept. Declared in model.h. */
#include "pass.h"

#include <assert.h>

enum { DECODE_TOKENS = 64 };          /* of a prompt at once: any number gives the same bits */

struct Cache {
    size_t ctx, length;
    Pass *pass;
    real *k, *v;                      /* [layers, ctx, kv_heads * head_dim] */
};

Cache *cache_new(const Model *m, size_t ctx) {
    size_t width = m->config.kv_heads * m->config.head_dim, reals = size_mul(size_mul(ctx, width, "the KV cache"), m->config.layers, "the KV cache");
    assert(ctx >= 1 && ctx <= m->config.ctx);
    Cache *c = mem_new(1, sizeof *c);
    c->ctx = ctx;
    c->pass = pass_new_keys(m, DECODE_TOKENS, false, false, ctx);
    c->k = mem_new(reals, sizeof(real));
    c->v = mem_new(reals, sizeof(real));
    return c;
}

void cache_free(Cache *c) {
    if (!c) return;
    pass_free(c->pass);
    mem_free(c->k), mem_free(c->v), mem_free(c);
}

size_t cache_length(const Cache *c) { return c->length; }
void cache_clear(Cache *c) { c->length = 0; }

static void decode_some(const Model *m, Cache *c, const int32_t *ids, size_t n) {
    Pass *p = c->pass;
    size_t layer_size = c->ctx * p->width.kv;
    p->block_count = 0;
    for (size_t t = 0; t < n; t++) p->position[t] = c->length + t;
    for (size_t t = 0; t < n; t += ATTENTION_ROWS) {
        size_t rows = n - t < ATTENTION_ROWS ? n - t : ATTENTION_ROWS;
        p->blocks[p->block_count++] = (AttentionBlock){.row = t, .rows = rows, .first = c->length + t};
    }
    embed(m, p, ids, n);
    for (size_t i = 0; i < m->config.layers; i++) block_forward(m, p, i, n, c->k + i * layer_size, c->v + i * layer_size);
    finish_forward(m, p, n);
    c->length += n;
}

void model_decode(const Model *m, Cache *c, const int32_t *ids, size_t n, bool all, real *logits) {
    assert(n >= 1 && c->length + n <= c->ctx);
    for (size_t done = 0; done < n;) {
        size_t some = n - done < DECODE_TOKENS ? n - done : DECODE_TOKENS;
        decode_some(m, c, ids + done, some);
        if (all) model_logits(m, c->pass, 0, some, logits + done * m->config.vocab);
        done += some;
        if (!all && done == n) model_logits(m, c->pass, some - 1, 1, logits);
    }
}
