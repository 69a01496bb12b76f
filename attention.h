/* attention: causal, grouped-query, two passes over each score row, nothing of size T² kept.
 *
 * Queries, keys and values of a token lie in one row, heads side by side; H query heads share KV key heads, H/KV to each.
 * A block is up to ATTENTION_ROWS consecutive queries of one segment. Training and decoding differ only in where the keys
 * stand: in the batch's own rows, or in a cache; the sums are the same chains, so the bits are. */
#ifndef ATTENTION_H
#define ATTENTION_H

#include "fp.h"

#include <stddef.h>

enum { ATTENTION_ROWS = 32 };

typedef struct {
    size_t heads, kv_heads, head_dim;
    real scale;                       /* 1/sqrt(head_dim) */
} Heads;

typedef struct {
    size_t row, rows;                 /* the block's queries: rows [row, row + rows) of q */
    size_t first;                     /* position of the first of them in its segment */
    size_t key_row;                   /* row of the segment's first key in k and v */
} AttentionBlock;

/* Scratch for one thread, in reals; keys: the longest segment. */
size_t attention_scratch(size_t keys, size_t head_dim);

/* o [N, heads*head_dim]; top, inv_sum [N, heads]: maximum and reciprocal sum of each score row (both may be NULL when decoding);
 * q row stride ldq; k, v row stride ldkv. scratch: attention_scratch() for each thread. */
void attention_forward(real *o, real *top, real *inv_sum, const real *q, size_t ldq, const real *k, const real *v, size_t ldkv, Heads h,
                       const AttentionBlock *blocks, size_t count, size_t keys, real *scratch);

/* Writes (=) dq, dk, dv, which have the strides of q, k, v; every block of every segment must be there, segments in order.
 * delta [N, heads] is scratch. */
void attention_backward(real *dq, real *dk, real *dv, real *delta, const real *d_o, const real *o, const real *top, const real *inv_sum,
                        const real *q, size_t ldq, const real *k, const real *v, size_t ldkv, Heads h, const AttentionBlock *blocks, size_t count,
                        size_t keys, real *scratch);

#endif
