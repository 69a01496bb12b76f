/* matmul: C = A B, or C += A B, for any layout of A and B.
 *
 * Definition. Each c[m][n] is one chain of fused multiply-adds, k ascending, from +0 (BEGIN) or from the value
 * already there (CONTINUE):
 *
 *     for k in 0..K-1:  c = fma(a[m][k], b[k][n], c)
 *
 * The error of a chain grows with its length. Sums over features may be cut (BLOCKS): a chain from +0 for each CHAIN of them, and
 *
 *     c = chain of k in 0..383;  c = c + chain of k in 384..767;  …
 *
 * Sums over tokens may not: a batch is cut into micro-batches anywhere, with the same bits.
 *
 * matmul_naive is that loop and the specification; matmul computes the same bits, fast: it vectorises, tiles, packs
 * and threads over m and n only, and blocks k by storing and reloading c. Rows and columns may be padded inside,
 * k never (0·x can turn -0 into +0, and 0·inf is NaN). K = 0 with BEGIN writes +0.
 */
#ifndef MATMUL_H
#define MATMUL_H

#include "fp.h"

#include <stddef.h>

/* How numbers are stored. REAL is `real`: float in the product, double in finetune-f64. 16-bit ones are widened, exactly, as panels are packed. */
typedef enum { STORED_REAL, STORED_F16, STORED_BF16 } Stored;

static inline real stored_value(const void *data, Stored stored, size_t i) {
    if (stored == STORED_F16) return (real)f16_widen(((const uint16_t *)data)[i]);
    if (stored == STORED_BF16) return (real)bf16_widen(((const uint16_t *)data)[i]);
    return ((const real *)data)[i];
}

/* A view of a matrix: element (i, j) at data[i*row + j*col]; one of the strides is 1. */
typedef struct {
    const void *data;
    Stored stored;
    size_t row, col;
} View;

typedef enum { BEGIN, CONTINUE, BLOCKS } Start;
enum { CHAIN = 384 };

/* c is [M, N] with row stride ldc >= N; a is M x K, b is K x N. c overlaps neither. Uses every thread. */
void matmul(real *c, size_t ldc, View a, View b, size_t M, size_t N, size_t K, Start start);
/* The same in the calling thread alone: for use inside a parallel region. */
void matmul_serial(real *c, size_t ldc, View a, View b, size_t M, size_t N, size_t K, Start start);
void matmul_naive(real *c, size_t ldc, View a, View b, size_t M, size_t N, size_t K, Start start);

static inline View view(const void *data, Stored stored, size_t row, size_t col) {
    View v = {data, stored, row, col};
    return v;
}
static inline View view_rows(const real *data, size_t row) { return view(data, STORED_REAL, row, 1); }
static inline View view_transposed(const real *data, size_t row) { return view(data, STORED_REAL, 1, row); }

#endif
