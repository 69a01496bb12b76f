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

/* A block of B, DEPTH x WIDTH, stays in the second level cache while every row of A passes by; TILE_ROWS rows of A stay in the first.
 * HEIGHT rows of A are copied at a time where A cannot be read as it lies. */
enum { DEPTH = 384, WIDTH = 384, HEIGHT = 96, AHEAD = 8 };

/* Numbers from one panel of B, one tile of A to the next. A little apart: at a multiple of 4096 bytes they would push each other out
 * of the cache while they are filled side by side. */
static size_t panel_stride(size_t K) { return K * TILE_COLS + LANES; }
static size_t tile_stride(size_t K) { return K * TILE_ROWS + LANES; }

#ifdef __TINYC__
#define PER_THREAD static
#else
#define PER_THREAD static _Thread_local
#endif
PER_THREAD _Alignas(64) real b_block[(DEPTH * TILE_COLS + LANES) * (WIDTH / TILE_COLS)];
PER_THREAD _Alignas(64) real a_block[(DEPTH * TILE_ROWS + LANES) * (HEIGHT / TILE_ROWS)];

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

static inline const void *address(View v, size_t i, size_t j) {
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

/* B [K, N] goes into panels [K][TILE_COLS]. First from rows that lie along n; they are far apart, which the processor's own
 * prefetching does not follow. */
INLINE void pack_along(View b, Stored stored, size_t N, size_t K) {
    b.stored = stored;
    for (size_t k = 0; k < K; k++) {
        real *to = b_block + k * TILE_COLS;
        for (size_t n = 0; n < N; n += TILE_COLS, to += panel_stride(K))
            UNROLL for (size_t j = 0; j < TILE_COLS; j += LANES) {
                if (n + j >= N) break;
                PREFETCH(address(b, k + AHEAD < K ? k + AHEAD : k, n + j));
                v16_store(to + j, load_wide(address(b, k, n + j), stored, least(N - n - j, LANES)));
            }
    }
}

/* Where v16_load_turned may read sixteen columns of B, from column n and number k on: where they lie, or in `space`, widened and
 * filled up with zeros. */
typedef struct {
    const real *at;
    size_t row;
} Square;
static inline Square square(View b, size_t k, size_t n, size_t depth, size_t cols, real *space) {
    if (b.stored == STORED_REAL && depth == LANES && cols == LANES) return (Square){address(b, k, n), b.col};
    for (size_t i = 0; i < LANES; i++) v16_store(space + i * LANES, i < cols ? load_wide(address(b, k, n + i), b.stored, depth) : v16_set(0));
    return (Square){space, LANES};
}

/* From columns that lie along k, turned on the way. */
static void pack_across(View b, size_t N, size_t K) {
    for (size_t n = 0; n < N; n += LANES) {
        real *to = b_block + n / TILE_COLS * panel_stride(K) + n % TILE_COLS;
        for (size_t k = 0; k < K; k += LANES) {
            real space[LANES * LANES];
            size_t depth = least(K - k, LANES);
            Square from = square(b, k, n, depth, least(N - n, LANES), space);
            for (size_t i = 0; i < depth; i += 4) {
                V16 turned[4];
                v16_load_turned(turned, from.at + i, from.row);
                UNROLL for (size_t j = 0; j < 4; j++)
                    if (i + j < depth) v16_store(to + (k + i + j) * TILE_COLS, turned[j]);
            }
        }
    }
}

/* B as tiles read it: panel j at at + j*next, with `row` numbers from k to k + 1. */
typedef struct {
    const real *at;
    size_t next, row;
} Panels;
static Panels prepare_b(View b, size_t M, size_t N, size_t K) {
    enum { REUSE = 64 }; /* rows of A below which packing costs more than reading B where it lies */
    if (b.col == 1 && b.stored == STORED_REAL && N % LANES == 0 && M <= REUSE) return (Panels){b.data, TILE_COLS, b.row};
    if (b.col != 1) pack_across(b, N, K);
    else if (b.stored == STORED_F16) pack_along(b, STORED_F16, N, K);
    else if (b.stored == STORED_BF16) pack_along(b, STORED_BF16, N, K);
    else pack_along(b, STORED_REAL, N, K);
    return (Panels){b_block, panel_stride(K), TILE_COLS};
}

/* A [M, K], M <= HEIGHT, whose columns lie along m, into tiles [K][TILE_ROWS]. */
static void copy_columns(View a, size_t M, size_t K) {
    size_t whole = a.stored == STORED_REAL ? M / TILE_ROWS * TILE_ROWS : 0;
    for (size_t k = 0; k < K; k++) {
        const real *from = address(a, 0, k);
        for (size_t m = 0; m < M; m += LANES) PREFETCH(address(a, m, k + AHEAD < K ? k + AHEAD : k));
        for (size_t m = 0; m < whole; m += TILE_ROWS) memcpy(a_block + m / TILE_ROWS * tile_stride(K) + k * TILE_ROWS, from + m, TILE_ROWS * sizeof *from);
        if (whole == M) continue;
        real wide[HEIGHT + LANES];
        for (size_t m = whole; m < M; m += LANES) v16_store(wide + m, load_wide(address(a, m, k), a.stored, least(M - m, LANES)));
        for (size_t m = whole; m < M; m += TILE_ROWS) memcpy(a_block + m / TILE_ROWS * tile_stride(K) + k * TILE_ROWS, wide + m, TILE_ROWS * sizeof *wide);
    }
}

/* A [M, K], M <= HEIGHT, whose rows lie along k, widened row by row. */
static void copy_rows(View a, size_t M, size_t K) {
    for (size_t m = 0; m < M; m++)
        for (size_t k = 0; k < K; k += LANES) v16_store(a_block + m * DEPTH + k, load_wide(address(a, m, k), a.stored, least(K - k, LANES)));
}

/* Makes A readable by tiles: *next numbers on is the next tile. Rows of numbers that lie along k are read where they are. */
static Broadcast prepare_a(View a, size_t M, size_t N, size_t K, size_t *next) {
    *next = tile_stride(K);
    if (a.col != 1 && a.stored == STORED_REAL && N <= TILE_COLS) {
        *next = TILE_ROWS;
        return (Broadcast){a.data, 1, a.col};
    }
    if (a.col != 1) {
        copy_columns(a, M, K);
        return (Broadcast){a_block, 1, TILE_ROWS};
    }
    if (a.stored != STORED_REAL) {
        copy_rows(a, M, K);
        *next = TILE_ROWS * DEPTH;
        return (Broadcast){a_block, DEPTH, 1};
    }
    *next = TILE_ROWS * a.row;
    return (Broadcast){a.data, a.row, 1};
}

/* ---- few rows --------------------------------------------------------------------------------- */

/* With one row of A, as in decoding, or a few, each number of B is used so seldom that its way from memory is all that counts.
 * So B is not packed. Columns along k are turned in registers. `rows` is a constant wherever this is inlined; the first M exist. */
enum { FEW = 4 };
INLINE void few_across(size_t rows, real *c, size_t ldc, Broadcast a, View b, size_t M, size_t N, size_t K, Start start) {
    const real *row[FEW];
    UNROLL for (size_t m = 0; m < rows; m++) row[m] = a.at + least(m, M - 1) * a.row;
    for (size_t n = 0; n < N; n += LANES) {
        size_t cols = least(N - n, LANES);
        V16 acc[FEW];
        UNROLL for (size_t m = 0; m < rows; m++) acc[m] = start == CONTINUE ? v16_load_n(c + least(m, M - 1) * ldc + n, cols) : v16_set(0);
        for (size_t k = 0; k < K; k += LANES) {
            real space[LANES * LANES];
            size_t depth = least(K - k, LANES);
            Square from = square(b, k, n, depth, cols, space);
            for (size_t i = 0; i < depth; i += 4) {
                V16 turned[4];
                v16_load_turned(turned, from.at + i, from.row);
                UNROLL for (size_t j = 0; j < 4; j++)
                    if (i + j < depth)
                        UNROLL for (size_t m = 0; m < rows; m++) acc[m] = v16_fma(v16_set(row[m][(k + i + j) * a.step]), turned[j], acc[m]);
            }
        }
        UNROLL for (size_t m = 0; m < rows; m++)
            if (m < M) v16_store_n(c + m * ldc + n, acc[m], cols);
    }
}

/* Rows along n: eight of them flow past the sums, which stay in the cache. */
static void few_along(real *c, size_t ldc, Broadcast a, View b, size_t M, size_t N, size_t K, Start start) {
    enum { ROWS = 8 };
    for (size_t k = 0; k < K; k += ROWS)
        for (size_t n = 0; n < N; n += LANES) {
            size_t cols = least(N - n, LANES), depth = least(K - k, ROWS);
            V16 numbers[ROWS];
            UNROLL for (size_t i = 0; i < ROWS; i++) numbers[i] = load_wide(address(b, k + least(i, depth - 1), n), b.stored, cols);
            for (size_t m = 0; m < M; m++) {
                const real *row = a.at + m * a.row;
                V16 acc = k || start == CONTINUE ? v16_load_n(c + m * ldc + n, cols) : v16_set(0);
                UNROLL for (size_t i = 0; i < ROWS; i++)
                    if (i < depth) acc = v16_fma(v16_set(row[(k + i) * a.step]), numbers[i], acc);
                v16_store_n(c + m * ldc + n, acc, cols);
            }
        }
}

static void few_rows(real *c, size_t ldc, View a, View b, size_t M, size_t N, size_t K, Start start) {
    size_t most = a.stored == STORED_REAL ? K : DEPTH, unused;
    for (size_t k = 0; k < K; k += most) {
        size_t depth = least(K - k, most);
        Broadcast rows = prepare_a(view_from(a, 0, k), M, 1, depth, &unused);
        View from = view_from(b, k, 0);
        Start here = k ? CONTINUE : start;
        if (b.col == 1) few_along(c, ldc, rows, from, M, N, depth, here);
        else if (M == 1) few_across(1, c, ldc, rows, from, M, N, depth, here);
        else few_across(FEW, c, ldc, rows, from, M, N, depth, here);
    }
}

/* ---- blocks ----------------------------------------------------------------------------------- */

/* total in equal steps, at most `most`, each but the last a multiple of `unit` (as `most` is). */
static size_t share(size_t total, size_t most, size_t unit) {
    size_t steps = (total + most - 1) / most;
    return steps ? ((total + steps - 1) / steps + unit - 1) / unit * unit : unit;
}

void matmul_serial(real *c, size_t ldc, View a, View b, size_t M, size_t N, size_t K, Start start) {
    if (!K && start == BEGIN)
        for (size_t m = 0; m < M; m++)
            for (size_t n = 0; n < N; n++) c[m * ldc + n] = 0;
    if (M <= FEW) {
        if (M) few_rows(c, ldc, a, b, M, N, K, start);
        return;
    }
    size_t max_width = share(N, WIDTH, TILE_COLS), max_depth = share(K, DEPTH, LANES);
    for (size_t n = 0; n < N; n += max_width)
        for (size_t k = 0; k < K; k += max_depth) {
            size_t width = least(N - n, max_width), depth = least(K - k, max_depth);
            Panels panels = prepare_b(view_from(b, k, n), M, width, depth);
            for (size_t m = 0; m < M; m += HEIGHT) {
                size_t height = least(M - m, HEIGHT), next;
                Broadcast rows = prepare_a(view_from(a, m, k), height, width, depth, &next);
                for (size_t i = 0; i < height; i += TILE_ROWS, rows.at += next)
                    for (size_t j = 0; j < width; j += TILE_COLS)
                        tile(c + (m + i) * ldc + n + j, ldc, least(height - i, TILE_ROWS), least(width - j, TILE_COLS), rows, panels.at + j / TILE_COLS * panels.next,
                             panels.row, depth, k ? CONTINUE : start);
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

static size_t shares(size_t total, size_t count, size_t unit) { return ((total + count - 1) / count + unit - 1) / unit * unit; }

/* Cuts C into pieces of height x width, one or a few for each thread. A piece takes its area, a share for every edge where something
 * is packed or a tile begins, and the trouble to begin at all; at the end, threads wait for the one that is late with its last piece.
 * Any cut gives the same bits. */
static void cut(size_t M, size_t N, size_t K, size_t threads, size_t *height, size_t *width) {
    double cheapest = 0;
    for (size_t pieces = threads; pieces <= 4 * threads; pieces *= 2)
        for (size_t down = 1; down <= pieces; down *= 2) {
            size_t h = shares(M, down, TILE_ROWS), w = shares(N, pieces / down, LANES);
            size_t rounds = (((M + h - 1) / h) * ((N + w - 1) / w) + threads - 1) / threads;
            double piece = (double)((h + 4) * (w + 4 * ((w + TILE_COLS - 1) / TILE_COLS)) + 4 * h) * (double)K + 16384;
            double cost = piece * ((double)rounds + 0.125);
            if (!cheapest || cost < cheapest) cheapest = cost, *height = h, *width = w;
        }
}

void matmul(real *c, size_t ldc, View a, View b, size_t M, size_t N, size_t K, Start start) {
    enum { WORTH = 1 << 17 }; /* fma below which starting the threads costs more than it saves */
    size_t height = M, width = N;
    if (thread_count() > 1 && !inside_parallel() && (double)M * (double)N * (double)K >= WORTH) cut(M, N, K, (size_t)thread_count(), &height, &width);
    if (height >= M && width >= N) {
        matmul_serial(c, ldc, a, b, M, N, K, start);
        return;
    }
    size_t across = (N + width - 1) / width, pieces = (M + height - 1) / height * across;
    PARALLEL_FOR_UNEVEN
    for (size_t piece = 0; piece < pieces; piece++) {
        size_t m = piece / across * height, n = piece % across * width;
        matmul_serial(c + m * ldc + n, ldc, view_from(a, m, 0), view_from(b, 0, n), least(M - m, height), least(N - n, width), K, start);
    }
}
