#include "penalty.h"

#include "lora.h"
#include "parallel.h"

#include <string.h>

enum { BLOCK = 4096, ROWS = 64 };     /* elements, rows of ΔW at a time */

/* The adapter of one Linear at the anchor; b NULL: it did nothing. */
typedef struct {
    real *a, *b, scale;
} Star;

struct Penalty {
    real l2_sp, ewc;
    real *const *fisher;
    real **anchor;                    /* of each Param that is trained itself */
    Star *stars;                      /* of each adapter */
    size_t params, adapters, bytes;
};

static real *copy_of(Penalty *p, const Param *q) {
    size_t n = param_size(q);
    real *copy = mem_new(n, sizeof *copy);
    memcpy(copy, q->w, n * sizeof *copy);
    p->bytes += n * sizeof *copy;
    return copy;
}

static bool all_zero(const Param *q) {
    for (size_t i = 0; i < param_size(q); i++)
        if (param_real(q)[i] < 0 || param_real(q)[i] > 0) return false;
    return true;
}

Penalty *penalty_new(const Model *m, double l2_sp, double ewc, real *const *fisher) {
    Penalty *p = mem_new(1, sizeof *p);
    const Adapter *a = m->adapter;
    p->l2_sp = (real)l2_sp, p->ewc = (real)ewc, p->fisher = fisher;
    p->params = m->count, p->adapters = a ? a->count : 0;
    p->anchor = mem_new(p->params, sizeof *p->anchor), p->stars = mem_new(p->adapters, sizeof *p->stars);
    for (size_t i = 0; i < p->adapters; i++) {
        const Lora *l = &a->loras[i];
        if (l->magnitude) bad_input("--l2-sp and --ewc act on the weights' change s·BA, which is another with DoRA: leave out --dora, or the penalty");
        p->stars[i].scale = l->scale;
        if (!all_zero(l->b)) p->stars[i].a = copy_of(p, l->a), p->stars[i].b = copy_of(p, l->b);
    }
    for (size_t i = 0; i < p->params; i++) {
        const Param *q = m->params[i];
        bool rows = q == m->tok_rows.rows || q == m->head_rows.rows;
        if (!q->frozen && (!q->adapter || rows)) p->anchor[i] = copy_of(p, q);
    }
    return p;
}

void penalty_free(Penalty *p) {
    if (!p) return;
    for (size_t i = 0; i < p->params; i++) mem_free(p->anchor[i]);
    for (size_t i = 0; i < p->adapters; i++) mem_free(p->stars[i].a), mem_free(p->stars[i].b);
    mem_free(p->anchor), mem_free(p->stars), mem_free(p);
}

size_t penalty_bytes(const Penalty *p) { return p->bytes; }

/* c of an element whose Fisher is *f; f NULL: there is none. */
static inline real factor(const Penalty *p, const real *f) { return f ? real_fma(p->ewc, *f, p->l2_sp) : p->l2_sp; }

/* g += c (w - w*); Σ c (w - w*)². at[j]: where element j's Fisher stands; f NULL: nowhere. */
static double add_block(const Penalty *p, real *g, const real *w, const real *anchor, const real *f, size_t n) {
    double sum = 0;
    for (size_t j = 0; j < n; j++) {
        real d = w[j] - anchor[j], c = factor(p, f ? f + j : NULL);
        g[j] = real_fma(c, d, g[j]);
        sum += (double)c * (double)d * (double)d;
    }
    return sum;
}

static double add_param(const Penalty *p, Param *q, const real *anchor, const real *f) {
    size_t size = param_size(q), blocks = (size + BLOCK - 1) / BLOCK;
    double *sums = mem_new(blocks, sizeof *sums), total = 0;
    PARALLEL_FOR(size > WORTH_THREADS)
    for (size_t b = 0; b < blocks; b++) {
        size_t at = b * BLOCK;
        sums[b] = add_block(p, q->g + at, param_real(q) + at, anchor + at, f ? f + at : NULL, size - at < BLOCK ? size - at : BLOCK);
    }
    for (size_t b = 0; b < blocks; b++) total += sums[b];
    mem_free(sums);
    return total;
}

/* Rows of an embedding that are trained alone: their Fisher stands among that of the whole matrix. */
static double add_rows(const Penalty *p, const TrainedRows *t, const real *anchor, const real *f) {
    size_t C = t->rows->shape[1];
    double total = 0;
    for (size_t i = 0; i < t->count; i++)
        total += add_block(p, t->rows->g + i * C, param_real(t->rows) + i * C, anchor + i * C, f ? f + (size_t)t->ids[i] * C : NULL, C);
    return total;
}

/* delta [n, in] = (scale B) A for the outputs first, …; scratch [n, rank] */
static void change_of(real *delta, const real *a, const real *b, real scale, size_t rank, size_t in, size_t first, size_t n, real *scratch) {
    for (size_t i = 0; i < n * rank; i++) scratch[i] = scale * b[first * rank + i];
    matmul(delta, in, view_rows(scratch, rank), view_rows(a, in), n, in, rank, BEGIN);
}

typedef struct {
    real *delta, *star, *scratch;     /* [ROWS, in], [ROWS, in], [ROWS, rank] */
    double *sums;                     /* [ROWS] */
} Room;

/* delta becomes s G; the sum of c ΔW² over the block. */
static double weigh_block(const Penalty *p, const Linear *l, const Star *star, const real *f, size_t first, size_t n, Room *r) {
    size_t in = l->in;
    real s = l->lora->scale;
    double total = 0;
    PARALLEL_FOR(n * in > WORTH_THREADS)
    for (size_t o = 0; o < n; o++) {
        double sum = 0;
        for (size_t i = 0; i < in; i++) {
            real *delta = r->delta + o * in + i, d = star->b ? *delta - r->star[o * in + i] : *delta;
            real c = factor(p, f ? f + (l->w->conv1d ? i * l->out + first + o : (first + o) * in + i) : NULL);
            sum += (double)c * (double)d * (double)d;
            *delta = s * (c * d);
        }
        r->sums[o] = sum;
    }
    for (size_t o = 0; o < n; o++) total += r->sums[o];
    return total;
}

static double add_adapter(const Penalty *p, Linear *l, const Star *star, const real *f) {
    const Lora *a = l->lora;
    size_t rank = a->rank, in = l->in;
    Room r = {mem_new(ROWS * in, sizeof(real)), star->b ? mem_new(ROWS * in, sizeof(real)) : NULL, mem_new(ROWS * rank, sizeof(real)),
              mem_new(ROWS, sizeof(double))};
    double total = 0;
    for (size_t first = 0; first < l->out; first += ROWS) {
        size_t n = l->out - first < ROWS ? l->out - first : ROWS;
        change_of(r.delta, param_real(a->a), param_real(a->b), a->scale, rank, in, first, n, r.scratch);
        if (star->b) change_of(r.star, star->a, star->b, star->scale, rank, in, first, n, r.scratch);
        total += weigh_block(p, l, star, f, first, n, &r);
        if (a->b->g) matmul(a->b->g + first * rank, rank, view_rows(r.delta, in), view_transposed(param_real(a->a), in), n, rank, in, CONTINUE);
        if (a->a->g) matmul(a->a->g, in, view_transposed(param_real(a->b) + first * rank, rank), view_rows(r.delta, in), rank, in, n, CONTINUE);
    }
    mem_free(r.delta), mem_free(r.star), mem_free(r.scratch), mem_free(r.sums);
    return total;
}

static const real *fisher_of(const Penalty *p, const Model *m, const Param *q) {
    for (size_t i = 0; p->fisher && i < p->params; i++)
        if (m->params[i] == q) return p->fisher[i];
    return NULL;
}

double penalty_add(const Penalty *p, Model *m) {
    double total = 0;
    for (size_t i = 0; i < p->params; i++) {
        Param *q = m->params[i];
        const TrainedRows *t = q == m->tok_rows.rows ? &m->tok_rows : q == m->head_rows.rows ? &m->head_rows : NULL;
        if (!p->anchor[i]) continue;
        total += t ? add_rows(p, t, p->anchor[i], fisher_of(p, m, t->of)) : add_param(p, q, p->anchor[i], fisher_of(p, m, q));
    }
    for (size_t i = 0; i < p->adapters; i++) {
        Linear *l = m->adapter->linears[i];
        if (l->lora->a->g || l->lora->b->g) total += add_adapter(p, l, &p->stars[i], fisher_of(p, m, l->w));
    }
    return total / 2;
}
