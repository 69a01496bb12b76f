/* matmul against matmul_naive, equal in every bit. */
#include "test.h"

#include "../matmul.h"
#include "../parallel.h"

/* How a factor lies in memory: along its rows or its columns, in which type. */
typedef struct {
    Stored stored;
    bool across;
} Layout;

/* A factor with room around it: rows are padded with NaN, which a stray read would bring into the product. */
typedef struct {
    View view;
    void *block;
} Factor;

static uint32_t draws;
static uint32_t draw(uint32_t n) { return rng_below(n, 1, RNG_TEST, draws++, 0); }

/* Mostly ordinary numbers of both signs with full mantissas; now and then zeros of both signs, tiny and huge ones. */
static float number(bool infinities) {
    uint32_t kind = draw(16), sign = draw(2) << 31, mantissa = draw(1u << 23);
    if (kind == 0) return bits_float(sign);
    if (kind == 1) return bits_float(sign | mantissa >> draw(23)); /* subnormal */
    if (kind == 2) return bits_float(sign | draw(60) << 23 | mantissa);
    if (kind == 3 && infinities && !draw(8)) return bits_float(sign | 0x7F800000u);
    return bits_float(sign | (120 + draw(10)) << 23 | mantissa);
}

static Factor factor(size_t rows, size_t cols, Layout layout, bool infinities) {
    size_t lines = layout.across ? cols : rows, length = layout.across ? rows : cols, stride = length + draw(4);
    Factor f;
    f.block = mem_new(lines * stride + 1, layout.stored == STORED_REAL ? sizeof(real) : sizeof(uint16_t));
    for (size_t i = 0; i < lines * stride; i++) {
        bool inside = i % stride < length;
        float x = inside ? number(infinities) : bits_float(0x7FC00000u);
        uint16_t half = inside ? (uint16_t)(draw(0x7C00) | draw(2) << 15) : 0x7E00;
        if (layout.stored == STORED_REAL) ((real *)f.block)[i] = (real)x;
        else ((uint16_t *)f.block)[i] = layout.stored == STORED_BF16 ? (uint16_t)(float_bits(x) >> 16) : half;
    }
    f.view = layout.across ? view(f.block, layout.stored, 1, stride) : view(f.block, layout.stored, stride, 1);
    return f;
}

static bool same(real a, real b) { return (a != a && b != b) || !memcmp(&a, &b, sizeof a); }

typedef void (*Product)(real *, size_t, View, View, size_t, size_t, size_t, Start);

/* One product both ways; everything around and, on BEGIN, everything in the output is NaN before. True when all bits agree. */
static bool agrees(Product product, size_t M, size_t N, size_t K, Layout la, Layout lb, Start start, bool infinities) {
    size_t ldc = N + draw(5), size = M * ldc + 16;
    Factor a = factor(M, K, la, infinities), b = factor(K, N, lb, infinities);
    real *got = mem_new(size, sizeof *got), *expected = mem_new(size, sizeof *expected);
    for (size_t i = 0; i < size; i++) {
        bool inside = i < M * ldc && i % ldc < N;
        got[i] = expected[i] = inside && start == CONTINUE ? (real)number(infinities) : (real)bits_float(0x7FC12345u);
    }
    product(got, ldc, a.view, b.view, M, N, K, start);
    matmul_naive(expected, ldc, a.view, b.view, M, N, K, start);
    bool equal = true;
    for (size_t i = 0; i < size; i++) {
        bool inside = i < M * ldc && i % ldc < N;
        equal = equal && (inside ? same(got[i], expected[i]) : !memcmp(got + i, expected + i, sizeof *got));
    }
    mem_free(a.block), mem_free(b.block), mem_free(got), mem_free(expected);
    return equal;
}

static const Layout ALONG = {STORED_REAL, false}, ACROSS = {STORED_REAL, true};

static void check_way(Product product, size_t M, size_t N, size_t K, int way, bool infinities) {
    Layout la = way & 1 ? ACROSS : ALONG, lb = way & 2 ? ACROSS : ALONG;
    CHECK(agrees(product, M, N, K, la, lb, (Start)(way / 4), infinities), "%zu x %zu x %zu, way %d", M, N, K, way);
}
static void check_layouts(Product product, size_t M, size_t N, size_t K, bool infinities) {
    for (int way = 0; way < 12; way++) check_way(product, M, N, K, way, infinities);
}

/* The specification, by hand: [1 2; 3 4] [5 6; 7 8] and a chain whose order shows. */
static void test_naive(void) {
    real a[] = {1, 2, 3, 4}, b[] = {5, 6, 7, 8}, c[] = {9, 9, 9, 9};
    matmul_naive(c, 2, view_rows(a, 2), view_rows(b, 2), 2, 2, 2, BEGIN);
    CHECK(c[0] == 19 && c[1] == 22 && c[2] == 43 && c[3] == 50);
    matmul_naive(c, 2, view_transposed(a, 2), view_rows(b, 2), 2, 2, 2, CONTINUE);
    CHECK(c[0] == 19 + 26 && c[1] == 22 + 30 && c[2] == 43 + 38 && c[3] == 50 + 44);
    matmul_naive(c, 2, view_rows(a, 2), view_transposed(b, 2), 2, 2, 2, BEGIN);
    CHECK(c[0] == 17 && c[1] == 23 && c[2] == 39 && c[3] == 53);
    real x[] = {(real)1e30, 1, (real)-1e30}, ones[] = {1, 1, 1}, sum = 5;
    matmul_naive(&sum, 1, view_rows(x, 3), view_rows(ones, 1), 1, 1, 3, BEGIN);
    CHECK(sum == 0);
    matmul_naive(&sum, 1, view_rows(ones, 1), view_rows(ones, 1), 1, 1, 0, BEGIN);
    CHECK(sum == 0);
    sum = 5;
    matmul_naive(&sum, 1, view_rows(ones, 1), view_rows(ones, 1), 1, 1, 0, CONTINUE);
    CHECK(sum == 5);
#ifndef REAL_F64
    float p = 1.0f + FLT_EPSILON, q = 1.0f - FLT_EPSILON, r[] = {-1, 0}; /* only a fused step keeps -eps^2 */
    matmul_naive(r, 1, view_rows(&p, 1), view_rows(&q, 1), 1, 1, 1, CONTINUE);
    CHECK(r[0] == -FLT_EPSILON * FLT_EPSILON);
#endif
}

/* 1000 numbers in chains of 384, 384 and 232, written out; and -0, which an addition to +0 would lose. */
static void test_naive_blocks(void) {
    real x[1000], y[1000], c = 7, part[3] = {0};
    for (int k = 0; k < 1000; k++) x[k] = (real)number(false), y[k] = (real)number(false);
    for (int k = 0; k < 1000; k++) part[k / 384] = real_fma(x[k], y[k], part[k / 384]);
    matmul_naive(&c, 1, view_rows(x, 1000), view_rows(y, 1), 1, 1, 1000, BLOCKS);
    CHECK(same(c, part[0] + part[1] + part[2]));
    real one_chain;
    matmul_naive(&one_chain, 1, view_rows(x, 1000), view_rows(y, 1), 1, 1, 1000, BEGIN);
    CHECK(!same(c, one_chain));
    matmul_naive(&c, 1, view_rows(x, 1000), view_rows(y, 1), 1, 1, 384, BLOCKS);
    CHECK(same(c, part[0]));
    matmul_naive(&c, 1, view_rows(x, 1000), view_rows(y, 1), 1, 1, 0, BLOCKS);
    CHECK(c == 0);
}

static void test_small(void) {
    for (size_t M = 1; M <= 17; M++)
        for (size_t N = 1; N <= 17; N++)
            for (size_t K = 1; K <= 17; K++) check_way(matmul_serial, M, N, K, (int)draw(12), false);
}

/* Sizes around every edge of the tiles, in a random layout; and all layouts for some. */
static void test_edges(void) {
    static const size_t sizes[] = {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 47, 48, 49, 64, 95, 97};
    enum { COUNT = sizeof sizes / sizeof *sizes };
    for (size_t i = 0; i < COUNT; i++)
        for (size_t j = 0; j < COUNT; j++) check_way(matmul_serial, sizes[i], sizes[j], sizes[draw(14)], (int)draw(12), false);
    for (size_t i = 0; i < COUNT; i++) check_layouts(matmul_serial, sizes[draw(COUNT)], sizes[draw(14)], sizes[i], false);
}

static void test_infinities(void) {
    for (size_t size = 1; size <= 35; size += 2) check_layouts(matmul, size, 36 - size, 1 + size % 20, true);
}

static void test_blocks(void) {
    check_layouts(matmul_serial, 5, 3, 1031, false);
    check_layouts(matmul_serial, 3, 801, 19, false);
    check_layouts(matmul_serial, 203, 21, 7, false);
    for (int way = 0; way < 12; way += 3) check_way(matmul_serial, 66, 387, 386, way, false);
    for (size_t rows = 1; rows <= 5; rows += 2)
        for (size_t K = CHAIN - 1; K <= 2 * CHAIN + 1; K += CHAIN / 2) check_layouts(matmul, rows, 19, K, false);
    for (int way = 8; way < 12; way++) check_way(matmul_serial, 2, 40000, 2 * CHAIN + 5, way, false); /* sums of few rows find no room at once */
}

static void test_empty(void) {
    real c[6] = {1, 2, 3, 4, 5, 6}, x[4] = {1, 1, 1, 1};
    matmul(c, 3, view_rows(x, 2), view_rows(x, 2), 2, 2, 0, CONTINUE);
    CHECK(c[0] == 1 && c[1] == 2 && c[2] == 3 && c[3] == 4 && c[4] == 5 && c[5] == 6);
    matmul(c, 3, view_rows(x, 2), view_rows(x, 2), 0, 2, 2, BEGIN);
    matmul(c, 3, view_rows(x, 2), view_rows(x, 2), 2, 0, 2, BEGIN);
    CHECK(c[0] == 1 && c[5] == 6);
    matmul(c, 3, view_rows(x, 2), view_rows(x, 2), 2, 2, 0, BEGIN);
    real zero = 0;
    CHECK(same(c[0], zero) && same(c[1], zero) && c[2] == 3 && same(c[3], zero) && same(c[4], zero) && c[5] == 6);
}

static void test_sixteen_bits(void) {
    static const size_t sizes[][3] = {{1, 1, 1},    {1, 19, 33},  {3, 50, 17},  {4, 16, 16},   {9, 47, 20},
                                      {25, 97, 31}, {3, 20, 800}, {9, 20, 400}, {10, 400, 18}, {101, 17, 20}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int way = 0; way < 36; way++) {
            Layout la = {(Stored)(way % 3), way / 3 % 2}, lb = {(Stored)(way / 6 % 3), way / 18};
            size_t M = sizes[i][0], N = sizes[i][1], K = sizes[i][2];
            CHECK(agrees(matmul, M, N, K, la, lb, (Start)draw(3), false), "%zu x %zu x %zu, way %d", M, N, K, way);
        }
}

static void test_threads(void) {
    static const int counts[] = {1, 2, 3, 7};
    int before = thread_count();
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        thread_limit(counts[i]);
        for (int twice = 0; twice < 2; twice++) {
            check_way(matmul, 67, 131, 61, (int)draw(12), false);
            check_way(matmul, 1, 1031, 300, (int)draw(12), false);
            check_way(matmul, 3, 350, 401, (int)draw(12), false);
            check_way(matmul, 9, 17, 2111, (int)draw(12), false);
            check_way(matmul, 700, 5, 97, (int)draw(12), false);
        }
    }
    thread_limit(before);
}

/* Many products at once, one thread each: the buffers must be each thread's own. */
static void test_inside_parallel(void) {
    enum { COUNT = 24, M = 60, N = 100, K = 50 };
    Factor a = factor(M * COUNT, K, ALONG, false), b = factor(K, N, ACROSS, false);
    real *got = mem_new(COUNT * M * N, sizeof *got), *expected = mem_new(COUNT * M * N, sizeof *expected);
    PARALLEL_FOR_UNEVEN(true)
    for (int i = 0; i < COUNT; i++) {
        View rows = view_rows((const real *)a.view.data + (size_t)i * M * a.view.row, a.view.row);
        (i % 2 ? matmul : matmul_serial)(got + i * M * N, N, rows, b.view, M, N, K, BEGIN);
    }
    matmul_naive(expected, N, a.view, b.view, M * COUNT, N, K, BEGIN);
    CHECK(!memcmp(got, expected, COUNT * M * N * sizeof *got));
}

TESTS({"the specification", test_naive}, {"the specification of blocks", test_naive_blocks}, {"sizes 1 to 17", test_small}, {"edges of tiles", test_edges},
      {"infinities", test_infinities}, {"edges of blocks", test_blocks}, {"nothing to do", test_empty},
      {"16-bit factors", test_sixteen_bits}, {"1, 2, 3, 7 threads", test_threads}, {"inside a parallel region", test_inside_parallel})
