/* kernel.h: the register tile, the one place where the time of a product goes.
 *
 * A tile is TILE_ROWS rows of C, TILE_VECTORS registers wide, held in registers for all of a block of k. Each step of k loads
 * one row of B's panel and, for each row of A, spreads one number over a register and adds row by row:
 *
 *                      B panel, packed: [K][vectors * 16]
 *                      b0 b1 b2         one load each per k
 *       a[0][k]  ->    c  c  c
 *       a[1][k]  ->    c  c  c          c = fma(a, b, c): each lane is one output's own chain, so the
 *         …            …  …  …          order of its sum is that of the naive loop
 *       a[7][k]  ->    c  c  c
 *
 * A is read one number at a time, so any layout of it will do. AVX-512 has 32 registers: 24 for c, 3 for b, 1 for a. AVX2 has
 * 16, and a V16 takes two.
 */
#ifndef KERNEL_H
#define KERNEL_H

#include "matmul.h"
#include "simd.h"

#if defined(TIER_AVX512)
enum { TILE_ROWS = 8, TILE_VECTORS = 3 };
#elif defined(TIER_AVX2)
enum { TILE_ROWS = 6, TILE_VECTORS = 1 };
#elif defined(TIER_NEON)
enum { TILE_ROWS = 6, TILE_VECTORS = 1 };
#else
enum { TILE_ROWS = 4, TILE_VECTORS = 1 };
#endif
enum { TILE_COLS = TILE_VECTORS * LANES };

/* Loops over the tile must vanish: an array that is indexed by a variable lives in memory, and gcc keeps one there even when it
 * unrolls by itself. */
#if defined(TIER_SCALAR)
#define UNROLL
#elif defined(__clang__)
#define UNROLL _Pragma("unroll")
#elif defined(__GNUC__) && !defined(__TINYC__)
#define UNROLL _Pragma("GCC unroll 16")
#else
#define UNROLL
#endif
#if defined(__GNUC__) && !defined(__TINYC__)
#define INLINE static inline __attribute__((always_inline))
#define PREFETCH(address) __builtin_prefetch(address)
#else
#define INLINE static inline
#define PREFETCH(address) (void)(address)
#endif

/* Where a tile of A is: element (i, k) at at[i*row + k*step]. */
typedef struct {
    const real *at;
    size_t row, step;
} Broadcast;

/* What a part of k begins from, and what is done with its sums: the last one makes a part of BLOCKS. */
typedef enum { FROM_ZERO, FROM_C, ADD_TO_C } Part;

/* `vectors` is a constant wherever this is inlined. C's lines are asked for at the start: they are there when the sums are. */
INLINE void tile_of(int vectors, real *c, size_t ldc, size_t rows, size_t cols, Broadcast a, const real *b, size_t b_row, size_t K,
                    Part part) {
    V16 acc[TILE_ROWS][TILE_VECTORS];
    const real *row[TILE_ROWS];
    size_t full = cols / LANES, rest = cols % LANES;
    UNROLL for (int i = 0; i < TILE_ROWS; i++) {
        size_t real_row = (size_t)i < rows ? (size_t)i : rows - 1; /* rows beyond the edge repeat the last, and are not stored */
        row[i] = a.at + real_row * a.row;
        UNROLL for (int j = 0; j < vectors; j++) PREFETCH(c + real_row * ldc + j * LANES);
        UNROLL for (int j = 0; j < vectors; j++) {
            const real *from = c + real_row * ldc + j * LANES;
            acc[i][j] = v16_set(0);
            if (part == FROM_C) acc[i][j] = (size_t)j < full ? v16_load(from) : v16_load_n(from, rest);
        }
    }
    for (size_t k = 0; k < K; k++) {
        V16 bk[TILE_VECTORS];
        UNROLL for (int j = 0; j < vectors; j++) bk[j] = v16_load(b + j * LANES);
        UNROLL for (int i = 0; i < TILE_ROWS; i++) {
            V16 ak = v16_set(row[i][k * a.step]);
            UNROLL for (int j = 0; j < vectors; j++) acc[i][j] = v16_fma(ak, bk[j], acc[i][j]);
        }
        b += b_row;
    }
    UNROLL for (int i = 0; i < TILE_ROWS; i++) {
        if ((size_t)i >= rows) continue;
        UNROLL for (int j = 0; j < vectors; j++) {
            real *to = c + i * ldc + j * LANES;
            if (part == ADD_TO_C) acc[i][j] = v16_add((size_t)j < full ? v16_load(to) : v16_load_n(to, rest), acc[i][j]);
            if ((size_t)j < full) v16_store(to, acc[i][j]);
            else v16_store_n(to, acc[i][j], rest);
        }
    }
}

/* c [rows, cols], 1..TILE_ROWS and 1..TILE_COLS of them; a row of b, b_row numbers from the next, is as many registers as cols needs. */
static inline void tile(real *c, size_t ldc, size_t rows, size_t cols, Broadcast a, const real *b, size_t b_row, size_t K, Part part) {
#ifdef TIER_AVX512
    if (cols > 2 * LANES) tile_of(3, c, ldc, rows, cols, a, b, b_row, K, part);
    else if (cols > LANES) tile_of(2, c, ldc, rows, cols, a, b, b_row, K, part);
    else
#endif
        tile_of(1, c, ldc, rows, cols, a, b, b_row, K, part);
}

#endif
