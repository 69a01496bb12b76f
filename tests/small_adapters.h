/* small_adapters.h: small models with adapters, for tests. */
#ifndef SMALL_ADAPTERS_H
#define SMALL_ADAPTERS_H

#include "../lora.h"
#include "../optim.h"
#include "small_models.h"

static inline Config llama(void) { return small_llama(23, 12, 8, 2, 4, 2, 4, 12, true); }
static inline Config gpt2(void) { return small_gpt2(23, 12, 8, 2, 2, 12, true); }

static inline LoraOptions options(const char *targets, size_t rank) {
    LoraOptions o = {.rank = rank, .alpha = 2 * (double)rank, .seed = 3};
    lora_targets(&o, targets);
    return o;
}

static inline Model *adapted(Config c, const LoraOptions *o) {
    Model *m = small_model(c, true);
    lora_attach(m, o);
    return m;
}

/* B away from 0, so that everything has an effect. */
static inline void move(Model *m) {
    for (size_t i = 0; i < m->count; i++) {
        Param *p = m->params[i];
        real *w = p->w;
        for (size_t j = 0; p->adapter && j < param_size(p); j++) w[j] += (real)random_number(0.2);
    }
    adapter_refresh(m);
}

static inline real *logits_of(const Model *m, const Batch *b) {
    Pass *p = pass_new(m, b->tokens, false, false);
    real *logits = mem_new(b->tokens * m->config.vocab, sizeof *logits);
    model_forward(m, p, b);
    model_logits(m, p, 0, b->tokens, logits);
    pass_free(p);
    return logits;
}

static inline double greatest_difference(const real *a, const real *b, size_t n) {
    double most = 0;
    for (size_t i = 0; i < n; i++) {
        double d = (double)a[i] - (double)b[i];
        if (d < 0) d = -d;
        if (!(d <= most)) most = d;
    }
    return most;
}

/* Equal values, -0 being +0. */
static inline bool same_values(const real *a, const real *b, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (!(a[i] <= b[i] && a[i] >= b[i])) return false;
    return true;
}

static inline Batch keyed_batch(const Config *c, size_t segments) {
    const size_t lengths[] = {7, 12, 3, 9, 5};
    Batch b = {0};
    Batch random = random_batch(c, lengths, segments, true);
    for (size_t i = 0; i < segments; i++) {
        size_t first = b.tokens;
        batch_add_segment(&b, &random, i);
        batch_key(&b, first, 100 + i);
    }
    b.seed = 5, b.step = 2;
    return b;
}

static inline OptimOptions adamw(void) {
    return (OptimOptions){.lr = 0.02, .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .weight_decay = 0.1, .clip = 1, .schedule = SCHEDULE_CONSTANT, .steps = 100};
}

static inline double train(Model *m, size_t steps, size_t samples, bool recompute) {
    OptimOptions o = adamw();
    Batch b = keyed_batch(&m->config, 5);
    Pass *p = pass_new(m, b.tokens, true, recompute);
    double loss = 0;
    for (size_t t = 0; t < steps; t++) {
        b.step = t;
        loss = batch_gradients(m, p, &b, samples);
        optim_update(m, &o, t, optim_grad_norm(m));
    }
    pass_free(p), batch_free(&b);
    return loss;
}

/* SHA-256 over all weights that are (or are not) an adapter's. */
static inline char *weights_hash(const Model *m, bool adapter) {
    Sha256 sha;
    unsigned char digest[32];
    char *hex = mem_new(65, 1);
    sha256_begin(&sha);
    for (size_t i = 0; i < m->count; i++)
        if (m->params[i]->adapter == adapter) sha256_add(&sha, m->params[i]->w, param_size(m->params[i]) * sizeof(real));
    sha256_end(&sha, digest);
    sha256_hex(digest, hex);
    return hex;
}

#endif
