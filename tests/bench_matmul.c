/* The speed of the products, beside OpenBLAS when libopenblas.so.0 is here and beside the machine's own limits.
 *
 *     bench_matmul [THREADS [ROUNDS [FILTER [OTHER.so]]]]
 *
 * OTHER.so is another build of matmul.c and fp.c (gcc -shared -fPIC …) to stand in OpenBLAS's place.
 *
 * Each figure is the median of interleaved rounds: ours, theirs, ours, theirs, …; the ratio is the median of the
 * rounds' ratios, so that a neighbour who takes the processor for a while does not decide it. On a machine that is
 * never quiet the best single calls say more. */
#define _GNU_SOURCE
#include "../matmul.h"

#include "bench.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

typedef void (*Sgemm)(int order, int transpose_a, int transpose_b, int M, int N, int K, float alpha, const float *a, int lda,
                      const float *b, int ldb, float beta, float *c, int ldc);
static Sgemm sgemm;
typedef void (*Product)(real *c, size_t ldc, View a, View b, size_t M, size_t N, size_t K, Start start);
static Product other, other_serial;
static int rounds = 9;
static const char *filter = "";

static float *numbers(size_t n) {
    float *x = aligned_alloc(64, (n * sizeof *x + 63) / 64 * 64);
    for (size_t i = 0; i < n; i++) x[i] = (float)(i * 2654435761u >> 8 & 0xFFFF) / 65536.0f - 0.5f;
    return x;
}

/* One product in all three forms the layers use. */
typedef struct {
    const char *name;
    bool a_across, b_across, serial;
    size_t M, N, K;
    Start start;
    float *a, *b, *c;
} Case;

static void product(const Case *t, Product p) {
    View a = t->a_across ? view_transposed(t->a, t->M) : view_rows(t->a, t->K);
    View b = t->b_across ? view_transposed(t->b, t->K) : view_rows(t->b, t->N);
    p(t->c, t->N, a, b, t->M, t->N, t->K, t->start);
}

static void ours(const Case *t) { product(t, t->serial ? matmul_serial : matmul); }

static void theirs(const Case *t) {
    if (other) {
        product(t, t->serial ? other_serial : other);
        return;
    }
    enum { ROWS = 101, PLAIN = 111, TURNED = 112 };
    int lda = (int)(t->a_across ? t->M : t->K), ldb = (int)(t->b_across ? t->K : t->N);
    sgemm(ROWS, t->a_across ? TURNED : PLAIN, t->b_across ? TURNED : PLAIN, (int)t->M, (int)t->N, (int)t->K, 1, t->a, lda, t->b, ldb,
          t->start == BEGIN ? 0 : 1, t->c, (int)t->N);
}

/* Seconds of one call, from enough of them to last; one more goes before, to wake the threads up. *best: of the shortest ever. */
static double seconds(void (*run)(const Case *), const Case *t, int repeat, double *best) {
    run(t);
    double begin = now(), before = begin;
    for (int i = 0; i < repeat; i++) {
        run(t);
        if (repeat > 40 && i < repeat - 1) continue; /* too short for the clock */
        double after = now();
        double one = repeat > 40 ? (after - begin) / repeat : after - before;
        if (one < *best) *best = one;
        before = after;
    }
    return (before - begin) / repeat;
}

static void bench(Case t) {
    char label[100];
    snprintf(label, sizeof label, "%-8s %5zu x %5zu x %5zu", t.name, t.M, t.N, t.K);
    if (!strstr(label, filter)) return;
    t.a = numbers(t.M * t.K), t.b = numbers(t.K * t.N), t.c = numbers(t.M * t.N);
    double flops = 2.0 * (double)t.M * (double)t.N * (double)t.K, a[101], b[101], ratio[101], best_a = 1e9, best_b = 1e9;
    int repeat = 1 + (int)(0.004 / seconds(ours, &t, 1, &best_a));
    for (int i = 0; i < rounds; i++) {
        a[i] = seconds(ours, &t, repeat, &best_a);
        b[i] = sgemm || other ? seconds(theirs, &t, repeat, &best_b) : a[i];
        ratio[i] = b[i] / a[i];
    }
    ascending(a, rounds), ascending(b, rounds), ascending(ratio, rounds);
    printf("%s  ours %6.1f GFLOP/s  theirs %6.1f  ratio %.2f (%.2f to %.2f)", label, flops / a[rounds / 2] * 1e-9,
           flops / b[rounds / 2] * 1e-9, ratio[rounds / 2], ratio[rounds / 4], ratio[rounds - 1 - rounds / 4]);
    printf("  best %6.1f %6.1f", flops / best_a * 1e-9, flops / best_b * 1e-9);
    printf(t.M == 1 ? "  %.1f GB/s\n" : "\n", 4.0 * (double)(t.K * t.N) / a[rounds / 2] * 1e-9);
    fflush(stdout);
    free(t.a), free(t.b), free(t.c);
}

/* Reading memory that no cache holds, eight lines at a time. */
static double bandwidth(int threads) {
    enum { SIZE = 1 << 26 };
    float *x = numbers(SIZE);
    double best = 1e9;
    for (int round = 0; round < 5; round++) {
        double begin = now();
        PARALLEL_FOR(1)
        for (int i = 0; i < threads; i++) {
            V16 sum[8];
            for (int j = 0; j < 8; j++) sum[j] = v16_set(0);
            const float *p = x + (size_t)SIZE / (size_t)threads * (size_t)i, *end = p + SIZE / threads / 128 * 128;
            for (; p < end; p += 8 * LANES)
#pragma GCC unroll 8
                for (int j = 0; j < 8; j++) sum[j] = v16_add(sum[j], v16_load(p + j * LANES));
            kept[i] = 0;
            for (int j = 0; j < 8; j++) kept[i] += v16_total(sum[j]);
        }
        double t = now() - begin;
        best = t < best ? t : best;
    }
    free(x);
    return 4.0 * SIZE / best * 1e-9;
}

int main(int argc, char **argv) {
    int threads = argc > 1 && atoi(argv[1]) < 1024 ? atoi(argv[1]) : thread_count();
    if (argc > 2) rounds = atoi(argv[2]) < 101 ? atoi(argv[2]) : 101;
    if (argc > 3) filter = argv[3];
    thread_limit(threads);
    if (argc > 4) {
        void *build = dlopen(argv[4], RTLD_NOW);
        if (!build) return fprintf(stderr, "%s\n", dlerror()), 1;
        *(void **)&other = dlsym(build, "matmul");
        *(void **)&other_serial = dlsym(build, "matmul_serial");
    }
    void *library = dlopen("libopenblas.so.0", RTLD_NOW);
    if (library) {
        *(void **)&sgemm = dlsym(library, "cblas_sgemm");
        void (*limit)(int);
        *(void **)&limit = dlsym(library, "openblas_set_num_threads");
        limit(threads);
        char *(*config)(void);
        *(void **)&config = dlsym(library, "openblas_get_config");
        puts(config());
    }
    printf("%s, %d threads, peak %.1f GFLOP/s, memory %.1f GB/s\n", TIER, threads, peak(threads), bandwidth(threads));
    static const size_t shapes[][3] = {{2048, 128, 128}, {2048, 128, 352}, {2048, 352, 128}, {2048, 128, 2048}, {4096, 288, 288},
                                       {4096, 288, 768}, {4096, 768, 288}, {4096, 288, 4096}, {256, 768, 3072}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        size_t N = shapes[i][0], in = shapes[i][1], out = shapes[i][2];
        bench((Case){"forward", false, true, false, N, out, in, BEGIN, 0, 0, 0});
        bench((Case){"dX", false, false, false, N, in, out, BEGIN, 0, 0, 0});
        bench((Case){"dW", true, false, false, out, in, N, CONTINUE, 0, 0, 0});
    }
    bench((Case){"square", false, false, false, 1024, 1024, 1024, BEGIN, 0, 0, 0});
    thread_limit(1);
    if (library) {
        void (*limit)(int);
        *(void **)&limit = dlsym(library, "openblas_set_num_threads");
        limit(1);
    }
    bench((Case){"scores", false, true, true, 64, 256, 48, BEGIN, 0, 0, 0});
    bench((Case){"mix", false, false, true, 64, 48, 256, BEGIN, 0, 0, 0});
    bench((Case){"scores", false, true, true, 32, 32, 32, BEGIN, 0, 0, 0});
    bench((Case){"tiny", false, true, true, 8, 8, 8, BEGIN, 0, 0, 0});
    bench((Case){"decode", false, true, true, 1, 4096, 288, BEGIN, 0, 0, 0});
    bench((Case){"decode", false, true, true, 1, 8192, 2048, BEGIN, 0, 0, 0});
    bench((Case){"decode", false, false, true, 1, 8192, 2048, BEGIN, 0, 0, 0});
    bench((Case){"lora", false, true, true, 2048, 8, 288, BEGIN, 0, 0, 0});
    bench((Case){"lora", true, false, true, 288, 8, 2048, CONTINUE, 0, 0, 0});
    bench((Case){"lora", true, false, true, 8, 288, 2048, CONTINUE, 0, 0, 0});
    return 0;
}
