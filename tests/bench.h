/* bench.h: what the benches share: the clock, medians, and the machine's own limit. */
#ifndef BENCH_H
#define BENCH_H

#include "../parallel.h"
#include "../simd.h"

#include <time.h>

/* One thread is timed by the processor time it gets: neighbours then cost only what they take of caches and memory. */
static inline double now(void) {
    struct timespec t;
    clock_gettime(thread_count() == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static inline void ascending(double *x, int n) {
    for (int i = 1; i < n; i++)
        for (int j = i; j && x[j] < x[j - 1]; j--) {
            double t = x[j];
            x[j] = x[j - 1], x[j - 1] = t;
        }
}

static volatile float kept[1024]; /* what is kept must be computed */

/* GFLOP/s of twenty-four independent chains: as many fma as the processor has room for. */
static inline double peak(int threads) {
    enum { STEPS = 1 << 20, CHAINS = 24 / (LANES * sizeof(float) / 64) };
    double best = 1e9;
    for (int round = 0; round < 5; round++) {
        double begin = now();
        PARALLEL_FOR(1)
        for (int i = 0; i < threads; i++) {
            V16 c[CHAINS], x = v16_set(0.5f), y = v16_set(1.0f);
            for (int j = 0; j < CHAINS; j++) c[j] = v16_set((float)j);
            for (int step = 0; step < STEPS; step++)
#pragma GCC unroll 24
                for (int j = 0; j < CHAINS; j++) c[j] = v16_fma(c[j], x, y);
            kept[i] = 0;
            for (int j = 0; j < CHAINS; j++) kept[i] += v16_total(c[j]);
        }
        double t = now() - begin;
        best = t < best ? t : best;
    }
    return 2.0 * STEPS * CHAINS * LANES * threads / best * 1e-9;
}

#endif
