/* small_models.h: models and batches for tests: both families, every fork, odd sizes. */
#ifndef SMALL_MODELS_H
#define SMALL_MODELS_H

#include "../gradcheck.h"
#include "../parallel.h"
#include "random.h"

#include <string.h>

static inline Config small_gpt2(size_t vocab, size_t ctx, size_t dim, size_t layers, size_t heads, size_t ffn, bool tied) {
    return (Config){.family = FAMILY_GPT2, .vocab = vocab, .ctx = ctx, .dim = dim, .layers = layers, .heads = heads, .kv_heads = heads,
                    .head_dim = dim / heads, .ffn = ffn, .tied = tied, .qkv_bias = true, .out_bias = true, .mlp_bias = true,
                        .norm_eps = 1e-5,
                    .init_std = 0.02, .bos = 0, .pad = -1};
}

static inline Config small_llama(size_t vocab, size_t ctx, size_t dim, size_t layers, size_t heads, size_t kv_heads, size_t head_dim,
                                 size_t ffn, bool tied) {
    return (Config){.family = FAMILY_LLAMA, .vocab = vocab, .ctx = ctx, .dim = dim, .layers = layers, .heads = heads, .kv_heads = kv_heads,
                    .head_dim = head_dim, .ffn = ffn, .tied = tied, .norm_eps = 1e-5, .rope_theta = 100, .init_std = 0.02, .bos = 0,
                        .pad = -1};
}

/* Weights of its initialisation; with `random` instead every weight is of the size 1/sqrt(inputs) and no bias is 0, no gain 1. */
static inline Model *small_model(Config c, bool random) {
    thread_limit(1); /* unless a test asks for more: so little work is not worth the starting of threads */
    Model *m = model_new(&c, "test");
    model_alloc_weights(m);
    model_init(m, 1);
    for (size_t i = 0; random && i < m->count; i++) {
        Param *p = m->params[i];
        random_fill(p->w, param_size(p), p->rank == 1 ? 0.5 : 1.7 / d_sqrt((double)(p->conv1d ? p->shape[0] : p->shape[1])));
        for (size_t j = 0; p->init_one && j < param_size(p); j++) ((real *)p->w)[j] += 1;
    }
    return m;
}

/* Adapters on every Linear of every block, B not 0. They stand in lora_params, which the caller frees with the process. */
static inline size_t attach_adapters(Model *m, size_t rank, Param **lora_params, bool zero_b) {
    size_t count = 0;
    for (size_t i = 0; i < m->config.layers; i++) {
        Block *b = &m->blocks[i];
        Linear *all[] = {&b->qkv[0], &b->qkv[1], &b->qkv[2], &b->out, &b->in[0], &b->in[1], &b->down};
        for (size_t j = 0; j < sizeof all / sizeof *all; j++) {
            Linear *l = all[j];
            if (!l->w) continue;
            Param *pair = mem_new(2, sizeof *pair);
            for (int k = 0; k < 2; k++) {
                size_t rows = k ? l->out : rank, columns = k ? rank : l->in, n = rows * columns;
                pair[k] = (Param){.name = str_format("%s.%s", l->w->name, k ? "B" : "A"), .rank = 2, .shape = {rows, columns}};
                pair[k].w = random_reals(n, k && zero_b ? 0 : 0.5);
                pair[k].g = mem_new(n, sizeof(real));
                lora_params[count++] = &pair[k];
            }
            l->lora = mem_new(1, sizeof *l->lora);
            *l->lora = (Lora){.a = &pair[0], .b = &pair[1], .rank = rank, .scale = (real)0.75};
        }
    }
    return count;
}

/* Segments of these lengths with random ids and targets; a third of the tokens has a weight of its own, some 0, some no target. */
static inline Batch random_batch(const Config *c, const size_t *lengths, size_t segments, bool odd_weights) {
    Batch b = {0};
    int32_t *ids = mem_new(c->ctx + 1, sizeof *ids), *targets = mem_new(c->ctx, sizeof *targets);
    float *weights = mem_new(c->ctx, sizeof *weights);
    for (size_t s = 0; s < segments; s++) {
        for (size_t t = 0; t <= lengths[s]; t++) ids[t] = (int32_t)random_below((uint32_t)c->vocab);
        for (size_t t = 0; t < lengths[s]; t++) {
            uint32_t kind = odd_weights ? random_below(9) : 9;
            targets[t] = kind == 0 ? -1 : ids[t + 1];
            weights[t] = kind == 1 ? 0 : kind == 2 ? 0.3f : kind == 3 ? 2.5f : 1;
        }
        batch_add(&b, ids, targets, weights, lengths[s]);
    }
    mem_free(ids), mem_free(targets), mem_free(weights);
    return b;
}

#endif
