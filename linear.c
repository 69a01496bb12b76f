#include "linear.h"

#include "parallel.h"
#include "simd.h"

/* W as the (in x out) factor of y = x W', whichever way the file stores it. */
static View weight(const Linear *l) {
    const Param *w = l->w;
    return w->conv1d ? view(w->w, w->stored, l->out, 1) : view(w->w, w->stored, 1, l->in);
}

static View transposed(View v) { return view(v.data, v.stored, v.col, v.row); }

/* u [N, rank] = s·x A' */
static void reduce(real *u, const real *x, size_t ldx, const Linear *l, size_t N) {
    const Param *a = l->lora->a;
    matmul(u, l->lora->rank, view_rows(x, ldx), view(a->w, a->stored, 1, l->in), N, l->lora->rank, l->in, BLOCKS);
    for (size_t i = 0; i < N * l->lora->rank; i++) u[i] *= l->lora->scale;
}

/* y += u B' */
static void expand(real *y, size_t ldy, const real *u, const Linear *l, size_t N) {
    const Param *b = l->lora->b;
    matmul(y, ldy, view_rows(u, l->lora->rank), view(b->w, b->stored, 1, l->lora->rank), N, l->out, l->lora->rank, CONTINUE);
}

static void add_bias(real *y, size_t ldy, const Param *bias, size_t N, size_t C) {
    const real *b = param_real(bias);
    PARALLEL_FOR(N * C > WORTH_THREADS)
    for (size_t row = 0; row < N; row++)
        for (size_t i = 0; i < C; i++) y[row * ldy + i] += b[i];
}

void linear_forward(real *y, size_t ldy, const real *x, size_t ldx, const Linear *l, size_t N, real *scratch) {
    matmul(y, ldy, view_rows(x, ldx), weight(l), N, l->out, l->in, BLOCKS);
    if (l->b) add_bias(y, ldy, l->b, N, l->out);
    if (!l->lora) return;
    reduce(scratch, x, ldx, l, N);
    expand(y, ldy, scratch, l, N);
}

void linear_backward_dx(real *dx, size_t lddx, const real *dy, size_t ldy, const Linear *l, size_t N, Start start) {
    matmul(dx, lddx, view_rows(dy, ldy), transposed(weight(l)), N, l->in, l->out, start);
}

void linear_backward_weights(const real *dy, size_t ldy, const real *x, size_t ldx, Linear *l, size_t N, Start start) {
    if (l->b && l->b->g_sum) bias_backward(l->b->g_sum, dy, ldy, N, l->out);
    if (!l->w->g) return;
    if (l->w->conv1d) matmul(l->w->g, l->out, view_transposed(x, ldx), view_rows(dy, ldy), l->in, l->out, N, start);
    else matmul(l->w->g, l->in, view_transposed(dy, ldy), view_rows(x, ldx), l->out, l->in, N, start);
}

void linear_backward_lora(real *dx, size_t lddx, const real *dy, size_t ldy, const real *x, size_t ldx,
                          Linear *l, size_t N, Start start, real *scratch) {
    const Lora *a = l->lora;
    if (!a) return;
    size_t r = a->rank;
    real *u = scratch, *v = scratch + N * r;
    reduce(u, x, ldx, l, N);
    matmul(v, r, view_rows(dy, ldy), view(a->b->w, a->b->stored, r, 1), N, r, l->out, BEGIN);
    for (size_t i = 0; i < N * r; i++) v[i] *= a->scale;
    if (a->b->g) matmul(a->b->g, r, view_transposed(dy, ldy), view_rows(u, r), l->out, r, N, start);
    if (a->a->g) matmul(a->a->g, l->in, view_transposed(v, r), view_rows(x, ldx), r, l->in, N, start);
    if (dx) matmul(dx, lddx, view_rows(v, r), view(a->a->w, a->a->stored, l->in, 1), N, l->in, r, CONTINUE);
}

/* ---- dropout and DoRA ---- */

/* One token's features, 64 from 16 counters: feature 64 b + 16 w + j hangs on word w of counter 16 b + j. The generator's key was
 * drawn from all that the tokens have in common. */
static void keep_features(unsigned char *kept, size_t n, const uint32_t *drawn, uint64_t key, uint32_t below) {
    for (size_t i = 0; i < n; i += 64) {
        uint32_t word[4][16];
        unsigned char keep[64];
        philox_16(word, drawn[0], drawn[1], key, i / 4);
        for (int j = 0; j < 64; j++) keep[j] = word[j / 16][j % 16] >> 8 >= below;
        memcpy(kept + i, keep, n - i < 64 ? n - i : 64);
    }
}

static bool drops(const Lora *a, const Adapting *t) { return t->keys && a->drop_below; }

/* The adapter's input, row stride *ldx: x itself, or with dropout a copy of it in t->x. */
static const real *seen(const real *x, size_t *ldx, const Linear *l, size_t N, const Adapting *t) {
    const Lora *a = l->lora;
    size_t from = *ldx, in = l->in;
    if (!drops(a, t)) return x;
    uint32_t drawn[4];
    philox(drawn, t->seed, RNG_DROPOUT, t->step, a->name);
    PARALLEL_FOR(N * in > WORTH_THREADS)
    for (size_t row = 0; row < N; row++) {
        unsigned char *kept = t->kept + row * in;
        keep_features(kept, in, drawn, t->keys[row], a->drop_below);
        for (size_t i = 0; i < in; i++) t->x[row * in + i] = kept[i] ? a->kept_scale * x[row * from + i] : 0;
    }
    *ldx = in;
    return t->x;
}

/* y = c x, or y *= c where both are one; c = m/n, a number a column. */
static void scale_columns(real *y, const real *x, size_t ld, const Lora *a, size_t N, size_t C) {
    const real *m = param_real(a->magnitude);
    PARALLEL_FOR(N * C > WORTH_THREADS)
    for (size_t row = 0; row < N; row++)
        for (size_t i = 0; i < C; i++) y[row * ld + i] = m[i] / a->norm[i] * x[row * ld + i];
}

/* y = x W' (+ b), then the adapter's chain. */
static void base_and_adapter(real *y, size_t ldy, const real *x, size_t ldx, const Linear *l, size_t N, bool bias, const Adapting *t) {
    matmul(y, ldy, view_rows(x, ldx), weight(l), N, l->out, l->in, BLOCKS);
    if (bias) add_bias(y, ldy, l->b, N, l->out);
    size_t ld = ldx;
    const real *input = seen(x, &ld, l, N, t);
    reduce(t->uv, input, ld, l, N);
    expand(y, ldy, t->uv, l, N);
}

void adapted_forward(real *y, size_t ldy, const real *x, size_t ldx, const Linear *l, size_t N, const Adapting *t) {
    const Lora *a = l->lora;
    if (!a || (!a->magnitude && !drops(a, t))) {
        linear_forward(y, ldy, x, ldx, l, N, t->uv);
        return;
    }
    base_and_adapter(y, ldy, x, ldx, l, N, l->b && !a->magnitude, t);
    if (!a->magnitude) return;
    scale_columns(y, y, ldy, a, N, l->out);
    if (l->b) add_bias(y, ldy, l->b, N, l->out);
}

void dora_backward(real *dz, const real *dy, size_t ldy, const real *x, size_t ldx, Linear *l, size_t N, const Adapting *t) {
    const Lora *a = l->lora;
    double *sum = a->magnitude->g_sum;
    if (sum) {
        base_and_adapter(dz, ldy, x, ldx, l, N, false, t); /* z */
        PARALLEL_FOR(N * l->out > WORTH_THREADS)
        for (size_t start = 0; start < l->out; start += LANES) {
            size_t end = l->out - start < LANES ? l->out : start + LANES;
            for (size_t row = 0; row < N; row++)
                for (size_t i = start; i < end; i++) sum[i] += (double)dy[row * ldy + i] * (double)dz[row * ldy + i];
        }
    }
    scale_columns(dz, dy, ldy, a, N, l->out);
}

/* dx += v A at the features kept: all of it, and what was not to change put back. */
static void add_kept(real *dx, size_t lddx, const real *v, const Linear *l, size_t N, const Adapting *t) {
    const Param *a = l->lora->a;
    size_t in = l->in;
    for (size_t row = 0; row < N; row++) memcpy(t->x + row * in, dx + row * lddx, in * sizeof *dx);
    matmul(dx, lddx, view_rows(v, l->lora->rank), view(a->w, a->stored, in, 1), N, in, l->lora->rank, CONTINUE);
    PARALLEL_FOR(N * in > WORTH_THREADS)
    for (size_t row = 0; row < N; row++)
        for (size_t i = 0; i < in; i++)
            if (!t->kept[row * in + i]) dx[row * lddx + i] = t->x[row * in + i];
}

void adapted_backward(real *dx, size_t lddx, const real *dy, size_t ldy, const real *x, size_t ldx,
                      Linear *l, size_t N, Start start, const Adapting *t) {
    const Lora *a = l->lora;
    if (!a || !drops(a, t)) {
        linear_backward_lora(dx, lddx, dy, ldy, x, ldx, l, N, start, t->uv);
        return;
    }
    size_t ld = ldx;
    const real *input = seen(x, &ld, l, N, t);
    linear_backward_lora(NULL, 0, dy, ldy, input, ld, l, N, start, t->uv);
    real *v = t->uv + N * a->rank;
    for (size_t i = 0; i < N * a->rank; i++) v[i] *= a->kept_scale;
    if (dx) add_kept(dx, lddx, v, l, N, t);
}

void bias_backward(double *sum, const real *dy, size_t ldy, size_t N, size_t C) {
    PARALLEL_FOR(N * C > WORTH_THREADS)
    for (size_t start = 0; start < C; start += LANES) {
        size_t n = C - start < LANES ? C - start : LANES;
        double chain[LANES] = {0};
        for (size_t i = 0; i < n; i++) chain[i] = sum[start + i];
        for (size_t row = 0; row < N; row++)
            for (size_t i = 0; i < n; i++) chain[i] += (double)dy[row * ldy + start + i];
        for (size_t i = 0; i < n; i++) sum[start + i] = chain[i];
    }
}
