#include "matmul.h"

#include "kernel.h"
#include "parallel.h"

/* ---- the specification ----------------------------------------------------------------------- */

static real element(View v, size_t i, size_t j) {
    size_t at = i * v.row + j * v.col;
    if (v.stored == STORED_F16) return (real)f16_widen(((const uint16_t *)v.data)[at]);
    if (v.stored == STORED_BF16) return (real)bf16_widen(((const uint16_t *)v.data)[at]);
    return ((const real *)v.data)[at];
}

void matmul_naive(real *c, size_t ldc, View a, View b, size_t M, size_t N, size_t K, Start start) {
    for (size_t m = 0; m < M; m++)
        for (size_t n = 0; n < N; n++) {
            real sum = start == BEGIN ? 0 : c[m * ldc + n];
            for (size_t k = 0; k < K; k++) sum = real_fma(element(a, m, k), element(b, k, n), sum);
            c[m * ldc + n] = sum;
        }
}

/* ---- packing ---------------------------------------------------------------------------------- */

/* A block of B, DEPTH x WIDTH, stays in the second level cache while every row of A passes by; TILE_ROWS rows of A and a row of
 * B's panel stay in the first. HEIGHT rows of A are copied at a time where A cannot be read as it lies. */
enum { DEPTH = 384, WIDTH = 336, HEIGHT = 48 };

#ifdef __TINYC__
#define PER_THREAD static
#else
#define PER_THREAD static _Thread_local
#endif
PER_THREAD _Alignas(64) real b_block[DEPTH * WIDTH];
PER_THREAD _Alignas(64) real a_block[DEPTH * HEIGHT];

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

static const void *address(View v, size_t i, size_t j) {
    size_t size = v.stored == STORED_REAL ? sizeof(real) : sizeof(uint16_t);
    return (const char *)v.data + (i * v.row + j * v.col) * size;
}

/* v without its first i rows and j columns */
static View view_from(View v, size_t i, size_t j) { return view(address(v, i, j), v.stored, v.row, v.col); }

/* The n (1..16) numbers from p on, widened; +0 in the other lanes. */
static inline V16 load_wide(const void *p, Stored stored, size_t n) {
    uint16_t part[LANES] = {0};
    if (stored == STORED_REAL) return n == LANES ? v16_load(p) : v16_load_n(p, n);
    if (n < LANES) p = memcpy(part, p, n * sizeof *part);
    return stored == STORED_F16 ? v16_load_f16(p) : v16_load_bf16(p);
}

/* One panel, [K][vectors of 16], from rows of B that lie along n. */
static void pack_along(real *panel, View b, size_t N, size_t K) {
    for (size_t k = 0; k < K; k++)
        for (size_t n = 0; n < N; n += LANES, panel += LANES) v16_store(panel, load_wide(address(b, k, n), b.stored, least(N - n, LANES)));
}

/* The same from columns of B that lie along k: turned in blocks of 16 x 16. Blocks at the edge, and 16-bit ones, pass through a
 * small square. */
static void pack_across(real *panel, View b, size_t N, size_t K) {
    size_t width = (N + LANES - 1) / LANES * LANES;
    for (size_t k = 0; k < K; k += LANES)
        for (size_t n = 0; n < N; n += LANES) {
            real square[LANES * LANES];
            V16 turned[LANES];
            size_t columns = least(N - n, LANES), depth = least(K - k, LANES);
            if (b.stored == STORED_REAL && columns == LANES && depth == LANES) v16_load_turned(turned, address(b, k, n), b.col);
            else {
                for (size_t i = 0; i < LANES; i++)
                    v16_store(square + i * LANES, i < columns ? load_wide(address(b, k, n + i), b.stored, depth) : v16_set(0));
                v16_load_turned(turned, square, LANES);
            }
            for (size_t i = 0; i < depth; i++) v16_store(panel + (k + i) * width + n, turned[i]);
        }
}

/* B [K, N] into panels of TILE_COLS columns, the last one as narrow as it can be. */
static void pack_b(View b, size_t N, size_t K) {
    for (size_t n = 0; n < N; n += TILE_COLS) {
        size_t columns = least(N - n, TILE_COLS);
        if (b.col == 1) pack_along(b_block + n * K, view_from(b, 0, n), columns, K);
        else pack_across(b_block + n * K, view_from(b, 0, n), columns, K);
    }
}

/* Makes A [M, K], M <= HEIGHT, readable by tiles: *tile_stride numbers on is the next tile. Rows of numbers that lie along k are
 * read where they are. */
static Broadcast prepare_a(View a, size_t M, size_t K, size_t *tile_stride) {
    if (a.col == 1 && a.stored == STORED_REAL) {
        *tile_stride = TILE_ROWS * a.row;
        return (Broadcast){a.data, a.row, 1};
    }
    if (a.col == 1) {
        for (size_t m = 0; m < M; m++)
            for (size_t k = 0; k < K; k += LANES) v16_store(a_block + m * DEPTH + k, load_wide(address(a, m, k), a.stored, least(K - k, LANES)));
        *tile_stride = TILE_ROWS * DEPTH;
        return (Broadcast){a_block, DEPTH, 1};
    }
    for (size_t k = 0; k < K; k++) {
        real wide[HEIGHT + LANES];
        const real *row = address(a, 0, k);
        if (a.stored != STORED_REAL || M % TILE_ROWS) {
            for (size_t m = 0; m < M; m += LANES) v16_store(wide + m, load_wide(address(a, m, k), a.stored, least(M - m, LANES)));
            row = wide;
        }
        for (size_t m = 0; m < M; m += TILE_ROWS) memcpy(a_block + m * DEPTH + k * TILE_ROWS, row + m, TILE_ROWS * sizeof *row);
    }
    *tile_stride = TILE_ROWS * DEPTH;
    return (Broadcast){a_block, 1, TILE_ROWS};
}

/* ---- blocks ----------------------------------------------------------------------------------- */

void matmul_serial(real *c, size_t ldc, View a, View b, size_t M, size_t N, size_t K, Start start) {
    if (!K && start == BEGIN)
        for (size_t m = 0; m < M; m++)
            for (size_t n = 0; n < N; n++) c[m * ldc + n] = 0;
    for (size_t n = 0; n < N; n += WIDTH)
        for (size_t k = 0; k < K; k += DEPTH) {
            size_t width = least(N - n, WIDTH), depth = least(K - k, DEPTH);
            pack_b(view_from(b, k, n), width, depth);
            for (size_t m = 0; m < M; m += HEIGHT) {
                size_t height = least(M - m, HEIGHT), tile_stride;
                Broadcast rows = prepare_a(view_from(a, m, k), height, depth, &tile_stride);
                for (size_t i = 0; i < height; i += TILE_ROWS, rows.at += tile_stride)
                    for (size_t j = 0; j < width; j += TILE_COLS)
                        tile(c + (m + i) * ldc + n + j, ldc, least(height - i, TILE_ROWS), least(width - j, TILE_COLS), rows, b_block + j * depth, depth,
                             k ? CONTINUE : start);
            }
        }
}

/* ---- threads ---------------------------------------------------------------------------------- */

static int inside_parallel(void) {
#ifdef _OPENMP
    return omp_in_parallel();
#else
    return 0;
#endif
}

/* Cuts C into down x across pieces, one for each thread. A piece costs its area, and its width a little more: each thread packs
 * the columns of B that it needs. */
static void cut(size_t M, size_t N, size_t threads, size_t *height, size_t *width) {
    size_t cheapest = SIZE_MAX;
    for (size_t down = 1; down <= threads; down++) {
        size_t across = threads / down;
        size_t h = ((M + down - 1) / down + TILE_ROWS - 1) / TILE_ROWS * TILE_ROWS;
        size_t w = ((N + across - 1) / across + LANES - 1) / LANES * LANES;
        size_t cost = (h + 4) * w;
        if (cost < cheapest) cheapest = cost, *height = h, *width = w;
    }
}

void matmul(real *c, size_t ldc, View a, View b, size_t M, size_t N, size_t K, Start start) {
    enum { WORTH = 1 << 18 }; /* fma below which starting the threads costs more than it saves */
    size_t height = M, width = N;
    if (M && N && thread_count() > 1 && !inside_parallel() && (double)M * (double)N * (double)K >= WORTH) cut(M, N, (size_t)thread_count(), &height, &width);
    if (height >= M && width >= N) {
        matmul_serial(c, ldc, a, b, M, N, K, start);
        return;
    }
    size_t down = (M + height - 1) / height, across = (N + width - 1) / width;
    PARALLEL_FOR_UNEVEN
    for (size_t piece = 0; piece < down * across; piece++) {
        size_t m = piece / across * height, n = piece % across * width;
        matmul_serial(c + m * ldc + n, ldc, view_from(a, m, 0), view_from(b, 0, n), least(M - m, height), least(N - n, width), K, start);
    }
}
