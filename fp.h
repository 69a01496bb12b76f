/* fp: the portable floating point everything else is built from.
 *
 * A result may depend on + - * / sqrt, on fma and on bit operations: IEEE 754 fixes each of them exactly. It
 * may not depend on libm, on contraction, on the vector width. What this header cannot guarantee it refuses.
 */
#ifndef FP_H
#define FP_H

#include <float.h>
#include <stdint.h>
#include <string.h>

#if defined(__FAST_MATH__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__)
#error "fast-math changes results: build without -ffast-math and -Ofast"
#endif
#if defined(FLT_EVAL_METHOD) && FLT_EVAL_METHOD != 0
#error "this target evaluates float expressions in a wider type: use 64-bit code, or -msse2 -mfpmath=sse"
#endif
#if UINTPTR_MAX < 0xffffffffffffffff
#error "64-bit targets only"
#endif
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "little-endian targets only: model files are mapped as they are"
#endif
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#endif

/* The type the layers compute in: float in the product, double in finetune-f64, which checks gradients. */
#ifdef REAL_F64
typedef double real;
#else
typedef float real;
#endif

/* ---- fused multiply-add -------------------------------------------------------------------- */

/* Exact, by rounding to odd (Boldo & Melquiond 2008). The product of two floats is exact in double. The double
 * sum s may be rounded; its error e is known by two-sum. Where e is not 0 and s is even, s takes the odd
 * neighbour on e's side: an odd last bit stands for "and something more", so that the one rounding to float that
 * follows (29 bits fewer, or more of them for a subnormal) cannot be misled into a tie. */
static inline float fma_emulated(float a, float b, float c) {
    double p = (double)a * (double)b, z = (double)c, s = p + z;
    double t = s - p, e = (p - (s - t)) + (z - t);
    if (e > 0 || e < 0) { /* false for NaN too: an infinite s has no error to speak of */
        uint64_t bits;
        memcpy(&bits, &s, sizeof bits);
        if (!(bits & 1)) bits = (e > 0) == (s > 0) ? bits + 1 : bits - 1;
        memcpy(&s, &bits, sizeof s);
    }
    return (float)s;
}

#if !defined(REAL_F64) && defined(__FMA__) && (defined(__x86_64__) || defined(_M_X64))
#include <immintrin.h>
#define FMA_KIND "hardware"
static inline float fma_f32(float a, float b, float c) {
    return _mm_cvtss_f32(_mm_fmadd_ss(_mm_set_ss(a), _mm_set_ss(b), _mm_set_ss(c)));
}
#elif !defined(REAL_F64) && defined(__aarch64__) && defined(__GNUC__)
#define FMA_KIND "hardware"
static inline float fma_f32(float a, float b, float c) {
    float r;
    __asm__("fmadd %s0, %s1, %s2, %s3" : "=w"(r) : "w"(a), "w"(b), "w"(c));
    return r;
}
#elif !defined(REAL_F64) && defined(__riscv_flen) && __riscv_flen >= 64 && defined(__GNUC__)
#define FMA_KIND "hardware"
static inline float fma_f32(float a, float b, float c) {
    float r;
    __asm__("fmadd.s %0, %1, %2, %3" : "=f"(r) : "f"(a), "f"(b), "f"(c));
    return r;
}
#else
#define FMA_KIND "emulated"
static inline float fma_f32(float a, float b, float c) { return fma_emulated(a, b, c); }
#endif

#ifdef REAL_F64
static inline real real_fma(real a, real b, real c) { return a * b + c; }
#else
static inline real real_fma(real a, real b, real c) { return fma_f32(a, b, c); }
#endif

/* Correctly rounded by IEEE 754: the one libm function that may decide a bit. */
float f_sqrt(float x);
double d_sqrt(double x);
static inline real real_sqrt(real x) {
#ifdef REAL_F64
    return d_sqrt(x);
#else
    return f_sqrt(x);
#endif
}

/* ---- elementary functions in double ---------------------------------------------------------
 * Only + - * / and bit operations, Horner order, no fma, so that every tier agrees. Largest errors found in 2 to 8 times 10^7
 * arguments each: exp 0.90 ulp, log 0.501, pow 0.99, sin and cos 0.79. */
double d_exp(double x);           /* +0 and infinity beyond the range; subnormal results rounded once more */
double d_log(double x);           /* x > 0; 0: -infinity; below: NaN */
double d_pow(double x, double y); /* x > 0 */
double d_sin(double x);           /* |x| <= 2^22 */
double d_cos(double x);

/* Natural exponential in float: lane 0 of v16_exp in simd.h. */
float f_exp(float x);

/* ---- 16-bit floats: widening is exact, narrowing rounds to nearest even ---------------------- */
float f16_widen(uint16_t h);
uint16_t f16_round(float x);
uint16_t bf16_round(float x);
static inline float bf16_widen(uint16_t h) {
    uint32_t bits = (uint32_t)h << 16;
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline uint32_t float_bits(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}
static inline float bits_float(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}
static inline uint64_t double_bits(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}
static inline double bits_double(uint64_t bits) {
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}
/* Exact: true for every finite value. */
static inline int is_finite(double x) { return x - x == 0; }

/* ---- the processor's mode ------------------------------------------------------------------- */
/* Round to nearest, gradual underflow, in the calling thread. Call in every thread that computes. */
void fp_reset_mode(void);
/* NULL when fma, rounding, subnormals and constants are what they must be; else what is not. */
const char *fp_self_test(void);

#endif
