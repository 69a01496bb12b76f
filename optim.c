#include "optim.h"

#include "lora.h"
#include "parallel.h"
#include "simd.h"

double optim_lr(const OptimOptions *o, size_t t) {
    if (t < o->warmup) return o->lr * (double)(t + 1) / (double)o->warmup;
    double x = o->steps > o->warmup ? (double)(t - o->warmup) / (double)(o->steps - o->warmup) : 1;
    if (x > 1) x = 1;
    double range = o->lr - o->min_lr;
    size_t fall = o->steps / 5; /* wsd: the last fifth of all steps */
    switch (o->schedule) {
    case SCHEDULE_LINEAR: return o->min_lr + range * (1 - x);
    case SCHEDULE_COSINE: return o->min_lr + range * (0.5 * (1 + d_cos(3.141592653589793 * x)));
    case SCHEDULE_WSD: return t + fall < o->steps || !fall ? o->lr : o->min_lr + range * ((double)(o->steps > t ? o->steps - t : 0) / (double)fall);
    case SCHEDULE_CONSTANT: break;
    }
    return o->lr;
}

/* ---- gradient norm ---- */

enum { NORM_BLOCK = 4096, NORM_LANES = 8 };

static double block_squares(const real *g, size_t n) {
    double lane[NORM_LANES] = {0};
    size_t i = 0;
    for (; i + NORM_LANES <= n; i += NORM_LANES)
        for (int j = 0; j < NORM_LANES; j++) lane[j] += (double)g[i + (size_t)j] * (double)g[i + (size_t)j];
    for (int j = 0; i < n; i++, j++) lane[j] += (double)g[i] * (double)g[i];
    for (int step = NORM_LANES / 2; step; step /= 2)
        for (int j = 0; j < step; j++) lane[j] += lane[j + step];
    return lane[0];
}

static double param_squares(const Param *p) {
    size_t size = param_size(p), blocks = (size + NORM_BLOCK - 1) / NORM_BLOCK;
    double *sums = mem_new(blocks, sizeof *sums), total = 0;
    PARALLEL_FOR(size > WORTH_THREADS)
    for (size_t b = 0; b < blocks; b++) {
        size_t start = b * NORM_BLOCK;
        sums[b] = block_squares(p->g + start, size - start < NORM_BLOCK ? size - start : NORM_BLOCK);
    }
    for (size_t b = 0; b < blocks; b++) total += sums[b];
    mem_free(sums);
    return total;
}

double optim_grad_norm(const Model *m) {
    double total = 0;
    for (size_t i = 0; i < m->count; i++)
        if (m->params[i]->g) total += param_squares(m->params[i]);
    return d_sqrt(total);
}

const Param *optim_non_finite(const Model *m) {
    for (size_t i = 0; i < m->count; i++)
        if (m->params[i]->g && !is_finite(param_squares(m->params[i]))) return m->params[i];
    return NULL;
}

/* ---- AdamW ---- */

/* b^n by squaring: a function of n alone, not of how the run came to it. */
static double power(double b, size_t n) {
    double r = 1;
    for (; n; n >>= 1, b *= b)
        if (n & 1) r *= b;
    return r;
}

typedef struct {
    V16 clip, beta1, rest1, beta2, rest2, decay, minus_a, d, eps, tiny;
} Constants;

/* Gradual underflow would let the moments of rows without gradient crawl for ever: below 2^-100 they are +0. */
static inline V16 flush(V16 x, V16 tiny) { return v16_if_less(v16_abs(x), tiny, v16_set(0), x); }

static void update_16(real *w, real *g, real *m, real *v, const Constants *k) {
    V16 gc = v16_mul(v16_load(g), k->clip);
    V16 mm = flush(v16_fma(k->beta1, v16_load(m), v16_mul(k->rest1, gc)), k->tiny);
    V16 vv = flush(v16_fma(k->beta2, v16_load(v), v16_mul(v16_mul(k->rest2, gc), gc)), k->tiny);
    V16 ww = v16_mul(v16_load(w), k->decay);
    v16_store(g, gc), v16_store(m, mm), v16_store(v, vv);
    v16_store(w, v16_fma(k->minus_a, v16_div(mm, v16_fma(v16_sqrt(vv), k->d, k->eps)), ww));
}

static void update_param(Param *p, const Constants *k) {
    size_t size = param_size(p), whole = size / LANES;
    real *w = p->w;
    PARALLEL_FOR(size > WORTH_THREADS)
    for (size_t i = 0; i < whole; i++) update_16(w + i * LANES, p->g + i * LANES, p->m + i * LANES, p->v + i * LANES, k);
    real tail[4][LANES] = {{0}};
    size_t rest = size - whole * LANES, bytes = rest * sizeof(real);
    real *parts[4] = {w + whole * LANES, p->g + whole * LANES, p->m + whole * LANES, p->v + whole * LANES};
    if (!rest) return;
    for (int i = 0; i < 4; i++) memcpy(tail[i], parts[i], bytes);
    update_16(tail[0], tail[1], tail[2], tail[3], k);
    for (int i = 0; i < 4; i++) memcpy(parts[i], tail[i], bytes);
}

void optim_update(Model *m, const OptimOptions *o, size_t t, double norm) {
    double lr = optim_lr(o, t), scale = o->clip > 0 ? o->clip / (norm + 1e-6) : 1;
    Constants k = {.clip = v16_set((real)(scale < 1 ? scale : 1)),
                   .beta1 = v16_set((real)o->beta1),
                   .rest1 = v16_set((real)(1 - o->beta1)),
                   .beta2 = v16_set((real)o->beta2),
                   .rest2 = v16_set((real)(1 - o->beta2)),
                   .d = v16_set((real)(1 / d_sqrt(1 - power(o->beta2, t + 1)))),
                   .eps = v16_set((real)o->eps),
                   .tiny = v16_set((real)0x1p-100)};
    for (size_t i = 0; i < m->count; i++) {
        Param *p = m->params[i];
        double rate = p->lr_ratio > 0 ? lr * p->lr_ratio : lr;
        k.decay = v16_set(p->decay ? (real)(1 - rate * o->weight_decay) : 1);
        k.minus_a = v16_set(-(real)(rate / (1 - power(o->beta1, t + 1))));
        if (p->g && p->m) update_param(p, &k);
    }
    adapter_refresh(m);
}
