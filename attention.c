#include "attention.h"

#include "matmul.h"
#include "ops.h"
#include "parallel.h"
#include "simd.h"

#include <assert.h>

/* What     o_t = Σ_{j<=t} p_tj v_j,  p_t = softmax_j(scale q_t·k_j), for each head; a KV head serves heads/kv_heads query heads
 * Shapes   attention.h
 * Forward  1  s_tj = (chain over d of q_t k_j) scale                      j <= t: causality is a loop bound
 *          2  m = max_j s_tj,  e_tj = exp(s_tj - m), +0 below -64,  r = 1/Σ_j e_tj
 *          3  p_tj = e_tj r;  o_t = chain over j ascending of p_tj v_j
 * Backward 3  dv_j = Σ_t p_tj do_t;  dp_tj = do_t·v_j
 *          2  softmax: ds_tj = p_tj (dp_tj - Σ_i p_ti dp_ti). The inner sum needs no row of dp: Σ_i p_ti (do_t·v_i) = do_t·o_t = D_t
 *          1  dq_t = Σ_j ds_tj scale k_j;  dk_j = Σ_t ds_tj scale q_t
 * Saved    m and r of each row: scores and p are computed again, from the same chains, so they are the same bits
 * Bits     products are chains over the inner index: dq over keys ascending; dk, dv over the group's heads ascending and, in each,
 *          queries ascending; Σ and D by lanes
 * Cost     2 T² D flops a head forward (the causal half of 4 T² D); backward computes s and dp twice, once for each owner: 7 T² D
 * Check    rows of p sum to 1; a change of token t leaves o before t as it was
 * Ref      Vaswani et al. 2017; Ainslie et al. 2023 (groups); Dao et al. 2022 (D)
 *
 * A block of queries sees a rectangle of keys that all of them see, and a triangle at its end:
 *
 *              key 0 … first           first+1 … first+rows-1
 *     row 0    x x x x x x x x         .
 *     row 1    x x x x x x x x         x .
 *     row 2    x x x x x x x x         x x .
 *
 * The rectangle is a matrix product, the triangle is done row by row, continuing the product's chains. */

size_t attention_scratch(size_t keys, size_t head_dim) {
    (void)head_dim;
    size_t row = (keys + LANES - 1) / LANES * LANES + LANES;
    return 2 * ATTENTION_ROWS * row;
}

static size_t score_stride(size_t keys) { return (keys + LANES - 1) / LANES * LANES + LANES; }

enum { WORTH_ATTENTION = 1 << 18 };   /* queries x keys x width: below, one thread is quicker */

static size_t all_rows(const AttentionBlock *blocks, size_t count) {
    size_t rows = 0;
    for (size_t i = 0; i < count; i++) rows += blocks[i].rows;
    return rows;
}

/* e^x where x >= -64, else +0. */
static inline V16 exp_or_zero(V16 x) { return v16_if_less(x, v16_set(-64), v16_set(0), v16_exp(x)); }

#define LOAD(p) (n == LANES ? v16_load(p) : v16_load_n(p, n))
#define STORE(p, x) (n == LANES ? v16_store(p, x) : v16_store_n(p, x, n))
#define EACH_V16(count) for (size_t i = 0, n; n = (count) - i < LANES ? (count) - i : LANES, i < (count); i += LANES)

/* One row of raw dot products to probabilities, in place. */
static void softmax_row(real *s, size_t keys, real scale, real *top, real *inv_sum) {
    V16 most = v16_set(s[0] * scale), total = v16_set(0);
    EACH_V16(keys) {
        V16 x = v16_mul(LOAD(s + i), v16_set(scale)), larger = v16_max(most, x);
        STORE(s + i, x);
        most = n == LANES ? larger : v16_first(larger, most, n);
    }
    real m = v16_largest(most);
    EACH_V16(keys) {
        V16 e = exp_or_zero(v16_sub(LOAD(s + i), v16_set(m))), sum = v16_add(total, e);
        STORE(s + i, e);
        total = n == LANES ? sum : v16_first(sum, total, n);
    }
    real r = 1 / v16_total(total);
    EACH_V16(keys) STORE(s + i, v16_mul(LOAD(s + i), v16_set(r)));
    *top = m;
    *inv_sum = r;
}

/* The same probabilities from the saved maximum and reciprocal sum. */
static void softmax_again(real *s, size_t keys, real scale, real top, real inv_sum) {
    EACH_V16(keys) {
        V16 x = v16_mul(LOAD(s + i), v16_set(scale));
        STORE(s + i, v16_mul(exp_or_zero(v16_sub(x, v16_set(top))), v16_set(inv_sum)));
    }
}

/* dp to ds, in place. */
static void softmax_backward_row(real *dp, const real *p, size_t keys, real delta, real scale) {
    EACH_V16(keys) {
        V16 t = v16_mul(LOAD(p + i), v16_sub(LOAD(dp + i), v16_set(delta)));
        STORE(dp + i, v16_mul(t, v16_set(scale)));
    }
}

/* y = fma(a, x, y) over a row: one more step of D chains. */
static void row_step(real *y, real a, const real *x, size_t D) {
    EACH_V16(D) STORE(y + i, v16_fma(v16_set(a), LOAD(x + i), LOAD(y + i)));
}

/* y [rows, D] = P x: row i chains over keys 0 .. first+i. The rectangle, then the triangle. */
static void causal_product(real *y, size_t ldy, const real *p, size_t ldp, const real *x, size_t ldx, size_t rows, size_t first, size_t D) {
    matmul_serial(y, ldy, view_rows(p, ldp), view_rows(x, ldx), rows, D, first + 1, BEGIN);
    for (size_t i = 1; i < rows; i++)
        for (size_t j = first + 1; j <= first + i; j++) row_step(y + i * ldy, p[i * ldp + j], x + j * ldx, D);
}

void attention_forward(real *o, real *top, real *inv_sum, const real *q, size_t ldq, const real *k, const real *v, size_t ldkv, Heads h,
                       const AttentionBlock *blocks, size_t count, size_t keys, real *scratch) {
    size_t D = h.head_dim, ldo = h.heads * D, lds = score_stride(keys), tasks = count * h.heads;
    PARALLEL_FOR_UNEVEN(all_rows(blocks, count) * keys * ldo > WORTH_ATTENTION)
    for (size_t task = 0; task < tasks; task++) {
        AttentionBlock b = blocks[task / h.heads];
        size_t head = task % h.heads, kv = head / (h.heads / h.kv_heads);
        const real *k0 = k + b.key_row * ldkv + kv * D, *v0 = v + b.key_row * ldkv + kv * D;
        real *s = scratch + (size_t)thread_id() * attention_scratch(keys, D);
        assert(b.rows <= ATTENTION_ROWS && b.first + b.rows <= keys);
        matmul_serial(s, lds, view_rows(q + b.row * ldq + head * D, ldq), view_transposed(k0, ldkv), b.rows, b.first + b.rows, D, BEGIN);
        for (size_t i = 0; i < b.rows; i++) {
            size_t at = (b.row + i) * h.heads + head;
            real m, r;
            softmax_row(s + i * lds, b.first + i + 1, h.scale, &m, &r);
            if (top) top[at] = m, inv_sum[at] = r;
        }
        causal_product(o + b.row * ldo + head * D, ldo, s, lds, v0, ldkv, b.rows, b.first, D);
    }
}

/* For queries of block b and head: p and ds of keys [from, to) (columns from 0), whatever of them each query sees. */
static void scores_backward(real *p, real *ds, size_t lds, AttentionBlock b, size_t head, size_t from, size_t to, const real *d_o, const real *top,
                            const real *inv_sum, const real *delta, const real *q, size_t ldq, const real *k, const real *v, size_t ldkv, Heads h) {
    size_t D = h.head_dim, ldo = h.heads * D, kv = head / (h.heads / h.kv_heads), key = (b.key_row + from) * ldkv + kv * D;
    matmul_serial(p, lds, view_rows(q + b.row * ldq + head * D, ldq), view_transposed(k + key, ldkv), b.rows, to - from, D, BEGIN);
    matmul_serial(ds, lds, view_rows(d_o + b.row * ldo + head * D, ldo), view_transposed(v + key, ldkv), b.rows, to - from, D, BEGIN);
    for (size_t i = 0; i < b.rows; i++) {
        size_t at = (b.row + i) * h.heads + head, seen = b.first + i + 1 < to ? b.first + i + 1 : to;
        if (seen <= from) continue;
        softmax_again(p + i * lds, seen - from, h.scale, top[at], inv_sum[at]);
        softmax_backward_row(ds + i * lds, p + i * lds, seen - from, delta[at], h.scale);
    }
}

/* One more block of queries for dk and dv of keys [from, to): rectangle or triangle. dx += wᵀ x by chains over the queries. */
static void transposed_product(real *dx, size_t ldx, const real *w, size_t ldw, const real *x, size_t ld, AttentionBlock b, size_t from, size_t to,
                               size_t D) {
    if (b.first + 1 >= to) { /* every query sees every key of the block */
        matmul_serial(dx, ldx, view_transposed(w, ldw), view_rows(x, ld), to - from, D, b.rows, CONTINUE);
        return;
    }
    for (size_t i = 0; i < b.rows; i++)
        for (size_t j = from; j < to && j <= b.first + i; j++) row_step(dx + (j - from) * ldx, w[i * ldw + (j - from)], x + i * ld, D);
}

/* dk and dv of one KV head and the keys that stand where block `own` has its queries. */
static void backward_keys(real *dk, real *dv, const AttentionBlock *own, const AttentionBlock *end, size_t kv, const real *d_o, const real *top,
                          const real *inv_sum, const real *delta, const real *q, size_t ldq, const real *k, const real *v, size_t ldkv, Heads h,
                          real *p, real *ds) {
    size_t D = h.head_dim, group = h.heads / h.kv_heads, from = own->first, to = own->first + own->rows;
    real *dk0 = dk + own->row * ldkv + kv * D, *dv0 = dv + own->row * ldkv + kv * D;
    for (size_t j = 0; j < own->rows; j++) memset(dk0 + j * ldkv, 0, D * sizeof *dk), memset(dv0 + j * ldkv, 0, D * sizeof *dv);
    for (size_t head = kv * group; head < (kv + 1) * group; head++) {
        for (const AttentionBlock *b = own; b < end && b->key_row == own->key_row; b++) {
            scores_backward(p, ds, ATTENTION_ROWS, *b, head, from, to, d_o, top, inv_sum, delta, q, ldq, k, v, ldkv, h);
            transposed_product(dv0, ldkv, p, ATTENTION_ROWS, d_o + b->row * h.heads * D + head * D, h.heads * D, *b, from, to, D);
            transposed_product(dk0, ldkv, ds, ATTENTION_ROWS, q + b->row * ldq + head * D, ldq, *b, from, to, D);
        }
    }
}

void attention_backward(real *dq, real *dk, real *dv, real *delta, const real *d_o, const real *o, const real *top, const real *inv_sum,
                        const real *q, size_t ldq, const real *k, const real *v, size_t ldkv, Heads h, const AttentionBlock *blocks, size_t count,
                        size_t keys, real *scratch) {
    size_t D = h.head_dim, ldo = h.heads * D, lds = score_stride(keys);
    PARALLEL_FOR_UNEVEN(all_rows(blocks, count) * keys * ldo > WORTH_ATTENTION)
    for (size_t task = 0; task < count * h.heads; task++) { /* dq: an owner for each block of queries and head */
        AttentionBlock b = blocks[task / h.heads];
        size_t head = task % h.heads, kv = head / (h.heads / h.kv_heads);
        real *p = scratch + (size_t)thread_id() * attention_scratch(keys, D), *ds = p + ATTENTION_ROWS * lds;
        for (size_t i = 0; i < b.rows; i++) {
            size_t at = (b.row + i) * ldo + head * D;
            delta[(b.row + i) * h.heads + head] = row_dot(d_o + at, o + at, D);
        }
        scores_backward(p, ds, lds, b, head, 0, b.first + b.rows, d_o, top, inv_sum, delta, q, ldq, k, v, ldkv, h);
        causal_product(dq + b.row * ldq + head * D, ldq, ds, lds, k + b.key_row * ldkv + kv * D, ldkv, b.rows, b.first, D);
    }
    PARALLEL_FOR_UNEVEN(all_rows(blocks, count) * keys * ldo > WORTH_ATTENTION)
    for (size_t task = 0; task < count * h.kv_heads; task++) { /* dk, dv: an owner for each block of keys and KV head */
        real *p = scratch + (size_t)thread_id() * attention_scratch(keys, D), *ds = p + ATTENTION_ROWS * ATTENTION_ROWS;
        backward_keys(dk, dv, blocks + task / h.kv_heads, blocks + count, task % h.kv_heads, d_o, top, inv_sum, delta, q, ldq, k, v, ldkv, h, p, ds);
    }
}
