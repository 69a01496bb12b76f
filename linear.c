#include "linear.h"

#include "parallel.h"
#include "simd.h"

/* W as the (in x out) factor of y = x W', whichever way the file stores it. */
static View weight(const Linear *l) {
    const Param *w = l->w;
    return w->conv1d ? view(w->w, w->stored, l->out, 1) : view(w->w, w->stored, 1, l->in);
}

static View transposed(View v) { return view(v.data, v.stored, v.col, v.row); }

void linear_forward(real *y, size_t ldy, const real *x, size_t ldx, const Linear *l, size_t N, real *scratch) {
    matmul(y, ldy, view_rows(x, ldx), weight(l), N, l->out, l->in, BEGIN);
    if (l->b) {
        const real *b = param_real(l->b);
        PARALLEL_FOR(N * l->out > WORTH_THREADS)
        for (size_t row = 0; row < N; row++)
            for (size_t i = 0; i < l->out; i++) y[row * ldy + i] += b[i];
    }
    const Lora *a = l->lora;
    if (!a) return;
    matmul(scratch, a->rank, view_rows(x, ldx), view(a->a->w, a->a->stored, 1, l->in), N, a->rank, l->in, BEGIN);
    for (size_t i = 0; i < N * a->rank; i++) scratch[i] *= a->scale;
    matmul(y, ldy, view_rows(scratch, a->rank), view(a->b->w, a->b->stored, 1, a->rank), N, l->out, a->rank, CONTINUE);
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

void linear_backward_lora(real *dx, size_t lddx, const real *dy, size_t ldy, const real *x, size_t ldx, Linear *l, size_t N, Start start, real *scratch) {
    const Lora *a = l->lora;
    if (!a) return;
    size_t r = a->rank;
    real *u = scratch, *v = scratch + N * r;
    matmul(u, r, view_rows(x, ldx), view(a->a->w, a->a->stored, 1, l->in), N, r, l->in, BEGIN);
    matmul(v, r, view_rows(dy, ldy), view(a->b->w, a->b->stored, r, 1), N, r, l->out, BEGIN);
    for (size_t i = 0; i < N * r; i++) u[i] *= a->scale, v[i] *= a->scale;
    if (a->b->g) matmul(a->b->g, r, view_transposed(dy, ldy), view_rows(u, r), l->out, r, N, start);
    if (a->a->g) matmul(a->a->g, l->in, view_transposed(v, r), view_rows(x, ldx), r, l->in, N, start);
    if (dx) matmul(dx, lddx, view_rows(v, r), view(a->a->w, a->a->stored, l->in, 1), N, l->in, r, CONTINUE);
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
