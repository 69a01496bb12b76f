/* random.h: numbers for tests, the same at every run: draw i of a program is a function of i. */
#ifndef RANDOM_H
#define RANDOM_H

#include "../base.h"
#include "../fp.h"

static uint32_t random_draws;

static inline uint32_t random_below(uint32_t n) { return rng_below(n, 1, RNG_TEST, random_draws++, 0); }
/* Uniform in [-size, size]. */
static inline double random_number(double size) { return ((double)rng_uniform(1, RNG_TEST, random_draws++, 1) * 2 - 1) * size; }

static inline real *random_fill(real *x, size_t n, double size) {
    for (size_t i = 0; i < n; i++) x[i] = (real)random_number(size);
    return x;
}
static inline real *random_reals(size_t n, double size) { return random_fill(mem_new(n, sizeof(real)), n, size); }

/* What is to be written holds NaN before, so that a place left out shows. */
static inline real *nan_fill(real *x, size_t n) {
    for (size_t i = 0; i < n; i++) x[i] = (real)bits_float(0x7FC00000u);
    return x;
}
static inline real *nan_reals(size_t n) { return nan_fill(mem_new(n, sizeof(real)), n); }

static inline bool all_finite(const real *x, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (!is_finite((double)x[i])) return false;
    return true;
}

/* ‖a - b‖ / ‖b‖; the plain difference where b is nothing. */
static inline double distance(const double *a, const double *b, size_t n) {
    double difference = 0, size = 0;
    for (size_t i = 0; i < n; i++) difference += (a[i] - b[i]) * (a[i] - b[i]), size += b[i] * b[i];
    return size > 1e-16 ? d_sqrt(difference / size) : d_sqrt(difference);
}

#endif
