#include "matmul.h"

#include "kernel.h"
#include "parallel.h"

#include <stdbool.h>

/* ---- the specification ----------------------------------------------------------------------- */

static real element(View v, size_t i, size_t j) { return stored_value(v.data, v.stored, i * v.row + j * v.col); }

void matmul_naive(real *c, size_t ldc, View a, View b, size_t M, size_t N, size_t K, Start start) {
    for (size_t m = 0; m < M; m++)
        for (size_t n = 0; n < N; n++) {
            real sum = start == CONTINUE ? c[m * ldc + n] : 0, before = 0;
            for (size_t k = 0; k < K; k++) {
                if (start == BLOCKS && k && k % CHAIN == 0) before = k == CHAIN ? sum : before + sum, sum = 0;
                sum = real_fma(element(a, m, k), element(b, k, n), sum);
            }
            c[m * ldc + n] = start == BLOCKS && K > CHAIN ? before + sum : sum;
        }
}

/* ---- packing ---------------------------------------------------------------------------------- */

/* A block of B, DEPTH x WIDTH, stays in the second level cache (1 MB on AVX-512 machines, half of that on many others) while
 * every row of A passes by; TILE_ROWS rows of A stay in the first. HEIGHT rows of A are copied at a time where A cannot be
 * read as it lies. Memory is asked for AHEAD rows before it is needed. */
enum { DEPTH = CHAIN, WIDTH = TILE_VECTORS == 1 ? 288 : 384, HEIGHT = 96, AHEAD = 8 };
_Static_assert(DEPTH % LANES == 0 && WIDTH % TILE_COLS == 0 && HEIGHT % TILE_ROWS == 0, "whole panels and tiles");

/* Numbers from one panel of B, one tile of A to the next. A little apart: at a multiple of 4096 bytes they would push each
 * other out of the cache while they are filled side by side. */
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
static size_t steps(size_t total, size_t step) { return (total + step - 1) / step; }
/* total in `count` equal parts, rounded up to whole units */
static size_t share(size_t total, size_t count, size_t unit) { return steps(steps(total, count), unit) * unit; }

/* How the part of k that begins at k is added up. */
static Part part_of(Start start, size_t k) {
    if (k) return start == BLOCKS ? ADD_TO_C : FROM_C;
    return start == CONTINUE ? FROM_C : FROM_ZERO;
}

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
    for (size_t i = 0; i < LANES; i++)
        v16_store(space + i * LANES, i < cols ? load_wide(address(b, k, n + i), b.stored, depth) : v16_set(0));
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

/* Numbers of column k into their places in the tiles [K][TILE_ROWS]. */
static inline void scatter(const real *from, size_t m, size_t M, size_t k, size_t K) {
    real *to = a_block + m / TILE_ROWS * tile_stride(K) + k * TILE_ROWS;
    for (; m < M; m += TILE_ROWS, to += tile_stride(K)) memcpy(to, from + m, TILE_ROWS * sizeof *from);
}

/* A [M, K], M <= HEIGHT, whose columns lie along m. */
static void copy_columns(View a, size_t M, size_t K) {
    size_t whole = a.stored == STORED_REAL ? M / TILE_ROWS * TILE_ROWS : 0;
    for (size_t k = 0; k < K; k++) {
        const real *from = address(a, 0, k);
        for (size_t m = 0; m < M; m += LANES) PREFETCH(address(a, m, k + AHEAD < K ? k + AHEAD : k));
        scatter(from, 0, whole, k, K);
        if (whole == M) continue;
        real wide[HEIGHT + LANES];
        for (size_t m = whole; m < M; m += LANES) v16_store(wide + m, load_wide(address(a, m, k), a.stored, least(M - m, LANES)));
        scatter(wide, whole, M, k, K);
    }
}

/* A [M, K], M <= HEIGHT, whose rows lie along k, widened row by row. */
static void copy_rows(View a, size_t M, size_t K) {
    for (size_t m = 0; m < M; m++)
        for (size_t k = 0; k < K; k += LANES)
            v16_store(a_block + m * DEPTH + k, load_wide(address(a, m, k), a.stored, least(K - k, LANES)));
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
INLINE void few_across(size_t rows, real *c, size_t ldc, Broadcast a, View b, size_t M, size_t N, size_t K, Part part, bool blocks) {
    const real *row[FEW];
    UNROLL for (size_t m = 0; m < rows; m++) row[m] = a.at + least(m, M - 1) * a.row;
    for (size_t n = 0; n < N; n += LANES) {
        size_t cols = least(N - n, LANES);
        V16 acc[FEW], before[FEW];
        UNROLL for (size_t m = 0; m < rows; m++) before[m] = v16_set(0), acc[m] = part == FROM_C ? v16_load_n(c + least(m, M - 1) * ldc + n, cols) : v16_set(0);
        for (size_t k = 0; k < K; k += LANES) {
            if (blocks && k && k % CHAIN == 0)
                UNROLL for (size_t m = 0; m < rows; m++) before[m] = k == CHAIN ? acc[m] : v16_add(before[m], acc[m]), acc[m] = v16_set(0);
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
        UNROLL for (size_t m = 0; m < rows; m++) {
            if (m >= M) continue;
            if (blocks && K > CHAIN) acc[m] = v16_add(before[m], acc[m]);
            if (part == ADD_TO_C) acc[m] = v16_add(v16_load_n(c + m * ldc + n, cols), acc[m]);
            v16_store_n(c + m * ldc + n, acc[m], cols);
        }
    }
}

/* Rows along n: eight of them flow past the sums, which stay in the cache. */
static void few_along(real *c, size_t ldc, Broadcast a, View b, size_t M, size_t N, size_t K, Part part) {
    enum { ROWS = 8 };
    for (size_t k = 0; k < K; k += ROWS)
        for (size_t n = 0; n < N; n += LANES) {
            size_t cols = least(N - n, LANES), depth = least(K - k, ROWS);
            V16 numbers[ROWS];
            UNROLL for (size_t i = 0; i < ROWS; i++) numbers[i] = load_wide(address(b, k + least(i, depth - 1), n), b.stored, cols);
            for (size_t m = 0; m < M; m++) {
                const real *row = a.at + m * a.row;
                V16 acc = k || part == FROM_C ? v16_load_n(c + m * ldc + n, cols) : v16_set(0);
                UNROLL for (size_t i = 0; i < ROWS; i++)
                    if (i < depth) acc = v16_fma(v16_set(row[(k + i) * a.step]), numbers[i], acc);
                v16_store_n(c + m * ldc + n, acc, cols);
            }
        }
}

/* … and are added to what was there. */
static void few_along_added(real *c, size_t ldc, Broadcast a, View b, size_t M, size_t N, size_t K) {
    real *sums = b_block;             /* no panels of B are there */
    size_t most = sizeof b_block / sizeof *b_block / FEW;
    for (size_t n = 0; n < N; n += most) {
        size_t width = least(N - n, most);
        few_along(sums, width, a, view_from(b, 0, n), M, width, K, FROM_ZERO);
        for (size_t m = 0; m < M; m++)
            for (size_t i = 0; i < width; i++) c[m * ldc + n + i] += sums[m * width + i];
    }
}

static void few_rows(real *c, size_t ldc, View a, View b, size_t M, size_t N, size_t K, Start start) {
    bool across = b.col != 1, blocks = start == BLOCKS;
    size_t most = a.stored == STORED_REAL && (across || !blocks) ? K : CHAIN, unused;
    for (size_t k = 0; k < K; k += most) {
        size_t depth = least(K - k, most);
        Broadcast rows = prepare_a(view_from(a, 0, k), M, 1, depth, &unused);
        View from = view_from(b, k, 0);
        Part here = part_of(start, k);
        if (across && M == 1) few_across(1, c, ldc, rows, from, M, N, depth, here, blocks);
        else if (across) few_across(FEW, c, ldc, rows, from, M, N, depth, here, blocks);
        else if (here == ADD_TO_C) few_along_added(c, ldc, rows, from, M, N, depth);
        else few_along(c, ldc, rows, from, M, N, depth, here);
    }
}

/* ---- blocks ----------------------------------------------------------------------------------- */

void matmul_serial(real *c, size_t ldc, View a, View b, size_t M, size_t N, size_t K, Start start) {
    if (!M || !N) return;
    if (!K) {
        for (size_t m = 0; m < M && start != CONTINUE; m++)
            for (size_t n = 0; n < N; n++) c[m * ldc + n] = 0;
        return;
    }
    if (M <= FEW) {
        few_rows(c, ldc, a, b, M, N, K, start);
        return;
    }
    size_t max_width = share(N, steps(N, WIDTH), TILE_COLS), max_depth = start == BLOCKS ? CHAIN : share(K, steps(K, DEPTH), LANES);
    for (size_t n = 0; n < N; n += max_width)
        for (size_t k = 0; k < K; k += max_depth) {
            size_t width = least(N - n, max_width), depth = least(K - k, max_depth);
            Part here = part_of(start, k);
            Panels panels = prepare_b(view_from(b, k, n), M, width, depth);
            for (size_t m = 0; m < M; m += HEIGHT) {
                size_t height = least(M - m, HEIGHT), next;
                Broadcast rows = prepare_a(view_from(a, m, k), height, width, depth, &next);
                for (size_t i = 0; i < height; i += TILE_ROWS, rows.at += next) {
                    const real *panel = panels.at;
                    for (size_t j = 0; j < width; j += TILE_COLS, panel += panels.next)
                        tile(c + (m + i) * ldc + n + j, ldc, least(height - i, TILE_ROWS), least(width - j, TILE_COLS), rows, panel,
                             panels.row, depth, here);
                }
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

/* Cuts C into pieces of height x width, one or a few for each thread. A piece takes its area; as much as EDGE more rows and
 * columns, for packing what lies along that edge; a little for every tile; and the trouble to begin at all. At the end, threads
 * wait for the one that is late with its last piece. Any cut gives the same bits. */
static void cut(size_t M, size_t N, size_t K, bool a_copied, size_t threads, size_t *height, size_t *width) {
    enum { EDGE = 12, TILE_EDGE = 4, BEGINNING = 16384 };
    double cheapest = 0;
    for (size_t pieces = threads; pieces <= 4 * threads; pieces *= 2)
        for (size_t down = 1; down <= pieces; down *= 2) {
            size_t h = share(M, down, TILE_ROWS), w = share(N, pieces / down, LANES);
            size_t rounds = steps(steps(M, h) * steps(N, w), threads);
            size_t area = (h + EDGE) * (w + TILE_EDGE * steps(w, TILE_COLS)) + (a_copied ? EDGE : TILE_EDGE) * h;
            double cost = ((double)rounds + 0.0625) * ((double)area * (double)K + BEGINNING);
            if (!cheapest || cost < cheapest) cheapest = cost, *height = h, *width = w;
        }
}

void matmul(real *c, size_t ldc, View a, View b, size_t M, size_t N, size_t K, Start start) {
    enum { WORTH = 1 << 17 }; /* fma below which starting the threads costs more than it saves */
    size_t height = M, width = N;
    bool worth = (double)M * (double)N * (double)K >= WORTH;
    if (worth && thread_count() > 1 && !inside_parallel()) cut(M, N, K, a.col != 1, (size_t)thread_count(), &height, &width);
    if (height >= M && width >= N) {
        matmul_serial(c, ldc, a, b, M, N, K, start);
        return;
    }
    size_t across = steps(N, width), pieces = steps(M, height) * across;
    PARALLEL_FOR_UNEVEN(pieces > 1)
    for (size_t piece = 0; piece < pieces; piece++) {
        size_t m = piece / across * height, n = piece % across * width;
        matmul_serial(c + m * ldc + n, ldc, view_from(a, m, 0), view_from(b, 0, n), least(M - m, height), least(N - n, width), K, start);
    }
}
