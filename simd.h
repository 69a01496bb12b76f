/* simd.h: the one header that knows the instruction set.
 *
 * A V16 is sixteen lanes: one AVX-512 register, two AVX2 registers, four NEON registers, or an array. Every row
 * sum of the project is defined over sixteen lanes, so a V16 is that definition and not a detail of the machine:
 *
 *     element   0  1  2 … 15 | 16 17 … 31 | 32 …  n-1           lane j takes j, j+16, j+32, …
 *     lane      0  1  2 … 15 |  0  1 … 15 |  0 …               the tail simply stops
 *     total     lanes i and i+8, then i+4, then i+2, then i+1    (v16_total)
 *
 * Elementwise functions give each lane what the scalar gives, so their bits do not depend on the tier. The
 * _n forms touch n lanes (0 < n < 16) and leave the others alone. v16_load_f16 and _bf16 widen sixteen 16-bit
 * floats; v16_load_turned loads sixteen rows of four, `stride` numbers apart, so that register j holds column j.
 */
#ifndef SIMD_H
#define SIMD_H

#include "fp.h"

#include <stddef.h>

enum { LANES = 16 };

#if !defined(REAL_F64) && defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__)
#define TIER "x86-64-v4 (AVX-512)"
#define TIER_AVX512 1
#include <immintrin.h>
#elif !defined(REAL_F64) && defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)
#define TIER "x86-64-v3 (AVX2)"
#define TIER_AVX2 1
#include <immintrin.h>
#elif !defined(REAL_F64) && defined(__aarch64__) && defined(__ARM_NEON)
#include <arm_neon.h>
#define TIER "aarch64 (NEON)"
#define TIER_NEON 1
#else
#define TIER "scalar"
#define TIER_SCALAR 1
#endif

#define SIMD static inline

#if defined(TIER_AVX512)

typedef struct { __m512 v; } V16;
#define V(x) ((V16){x})
SIMD __mmask16 v16_mask_(size_t n) { return (__mmask16)((1u << n) - 1); }
SIMD V16 v16_set(float x) { return V(_mm512_set1_ps(x)); }
SIMD V16 v16_load(const float *p) { return V(_mm512_loadu_ps(p)); }
SIMD V16 v16_load_n(const float *p, size_t n) { return V(_mm512_maskz_loadu_ps(v16_mask_(n), p)); }
SIMD void v16_store(float *p, V16 a) { _mm512_storeu_ps(p, a.v); }
SIMD void v16_store_n(float *p, V16 a, size_t n) { _mm512_mask_storeu_ps(p, v16_mask_(n), a.v); }
SIMD V16 v16_add(V16 a, V16 b) { return V(_mm512_add_ps(a.v, b.v)); }
SIMD V16 v16_sub(V16 a, V16 b) { return V(_mm512_sub_ps(a.v, b.v)); }
SIMD V16 v16_mul(V16 a, V16 b) { return V(_mm512_mul_ps(a.v, b.v)); }
SIMD V16 v16_div(V16 a, V16 b) { return V(_mm512_div_ps(a.v, b.v)); }
SIMD V16 v16_sqrt(V16 a) { return V(_mm512_sqrt_ps(a.v)); }
SIMD V16 v16_fma(V16 a, V16 b, V16 c) { return V(_mm512_fmadd_ps(a.v, b.v, c.v)); }
/* a > b ? a : b, which vmaxps is to the letter; fmaxf is not. */
SIMD V16 v16_max(V16 a, V16 b) { return V(_mm512_max_ps(a.v, b.v)); }
SIMD V16 v16_min(V16 a, V16 b) { return V(_mm512_min_ps(a.v, b.v)); }
/* a < b ? x : y */
SIMD V16 v16_if_less(V16 a, V16 b, V16 x, V16 y) { return V(_mm512_mask_blend_ps(_mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ), y.v, x.v)); }
/* lanes below n of x, the others of y */
SIMD V16 v16_first(V16 x, V16 y, size_t n) { return V(_mm512_mask_blend_ps(v16_mask_(n), y.v, x.v)); }
/* y * 2^k from t = k + 1.5 * 2^23, whose low bits are k: added to the exponent of y. Right where the result is normal. */
SIMD V16 v16_scale_(V16 y, V16 t) {
    return V(_mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(y.v), _mm512_slli_epi32(_mm512_castps_si512(t.v), 23))));
}
/* |x| */
SIMD V16 v16_abs(V16 a) { return V(_mm512_abs_ps(a.v)); }
SIMD V16 v16_load_f16(const uint16_t *p) { return V(_mm512_cvtph_ps(_mm256_loadu_si256((const void *)p))); }
SIMD V16 v16_load_bf16(const uint16_t *p) {
    __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const void *)p));
    return V(_mm512_castsi512_ps(_mm512_slli_epi32(wide, 16)));
}
/* Four rows share a register from the load on (a broadcast under a mask costs no shuffle), which leaves two rounds of shuffles. */
SIMD void v16_load_turned(V16 columns[4], const float *p, size_t stride) {
    __m512 r[4];
    for (size_t i = 0; i < 4; i++) {
        r[i] = _mm512_castps128_ps512(_mm_loadu_ps(p + i * stride));
        r[i] = _mm512_mask_broadcast_f32x4(r[i], 0x00F0, _mm_loadu_ps(p + (i + 4) * stride));
        r[i] = _mm512_mask_broadcast_f32x4(r[i], 0x0F00, _mm_loadu_ps(p + (i + 8) * stride));
        r[i] = _mm512_mask_broadcast_f32x4(r[i], 0xF000, _mm_loadu_ps(p + (i + 12) * stride));
    }
    __m512d t0 = _mm512_castps_pd(_mm512_unpacklo_ps(r[0], r[1])), t1 = _mm512_castps_pd(_mm512_unpackhi_ps(r[0], r[1]));
    __m512d t2 = _mm512_castps_pd(_mm512_unpacklo_ps(r[2], r[3])), t3 = _mm512_castps_pd(_mm512_unpackhi_ps(r[2], r[3]));
    columns[0] = V(_mm512_castpd_ps(_mm512_unpacklo_pd(t0, t2)));
    columns[1] = V(_mm512_castpd_ps(_mm512_unpackhi_pd(t0, t2)));
    columns[2] = V(_mm512_castpd_ps(_mm512_unpacklo_pd(t1, t3)));
    columns[3] = V(_mm512_castpd_ps(_mm512_unpackhi_pd(t1, t3)));
}

#elif defined(TIER_AVX2)

typedef struct { __m256 a, b; } V16;
#define V1(op, x) ((V16){op((x).a), op((x).b)})
#define V2(op, x, y) ((V16){op((x).a, (y).a), op((x).b, (y).b)})
#define V3(op, x, y, z) ((V16){op((x).a, (y).a, (z).a), op((x).b, (y).b, (z).b)})
SIMD __m256i v8_mask_(size_t n) { /* n may exceed 8 */
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
SIMD size_t v8_rest_(size_t n) { return n > 8 ? n - 8 : 0; }
SIMD V16 v16_set(float x) { return (V16){_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
SIMD V16 v16_load(const float *p) { return (V16){_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
SIMD V16 v16_load_n(const float *p, size_t n) {
    return (V16){_mm256_maskload_ps(p, v8_mask_(n)), _mm256_maskload_ps(p + 8, v8_mask_(v8_rest_(n)))};
}
SIMD void v16_store(float *p, V16 x) { _mm256_storeu_ps(p, x.a), _mm256_storeu_ps(p + 8, x.b); }
SIMD void v16_store_n(float *p, V16 x, size_t n) {
    _mm256_maskstore_ps(p, v8_mask_(n), x.a);
    _mm256_maskstore_ps(p + 8, v8_mask_(v8_rest_(n)), x.b);
}
SIMD V16 v16_add(V16 x, V16 y) { return V2(_mm256_add_ps, x, y); }
SIMD V16 v16_sub(V16 x, V16 y) { return V2(_mm256_sub_ps, x, y); }
SIMD V16 v16_mul(V16 x, V16 y) { return V2(_mm256_mul_ps, x, y); }
SIMD V16 v16_div(V16 x, V16 y) { return V2(_mm256_div_ps, x, y); }
SIMD V16 v16_sqrt(V16 x) { return V1(_mm256_sqrt_ps, x); }
SIMD V16 v16_fma(V16 x, V16 y, V16 z) { return V3(_mm256_fmadd_ps, x, y, z); }
SIMD V16 v16_max(V16 x, V16 y) { return V2(_mm256_max_ps, x, y); }
SIMD V16 v16_min(V16 x, V16 y) { return V2(_mm256_min_ps, x, y); }
SIMD V16 v16_if_less(V16 a, V16 b, V16 x, V16 y) {
    return (V16){_mm256_blendv_ps(y.a, x.a, _mm256_cmp_ps(a.a, b.a, _CMP_LT_OQ)),
                 _mm256_blendv_ps(y.b, x.b, _mm256_cmp_ps(a.b, b.b, _CMP_LT_OQ))};
}
SIMD V16 v16_first(V16 x, V16 y, size_t n) {
    return (V16){_mm256_blendv_ps(y.a, x.a, _mm256_castsi256_ps(v8_mask_(n))),
                 _mm256_blendv_ps(y.b, x.b, _mm256_castsi256_ps(v8_mask_(v8_rest_(n))))};
}
SIMD __m256 v8_abs_(__m256 x) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), x); }
SIMD V16 v16_abs(V16 x) { return V1(v8_abs_, x); }
SIMD __m256 v8_scale_(__m256 y, __m256 t) {
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(y), _mm256_slli_epi32(_mm256_castps_si256(t), 23)));
}
SIMD V16 v16_scale_(V16 y, V16 t) { return V2(v8_scale_, y, t); }

SIMD V16 v16_load_f16(const uint16_t *p) {
    return (V16){_mm256_cvtph_ps(_mm_loadu_si128((const void *)p)), _mm256_cvtph_ps(_mm_loadu_si128((const void *)(p + 8)))};
}
SIMD __m256 v8_load_bf16_(const uint16_t *p) {
    __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128((const void *)p));
    return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
}
SIMD V16 v16_load_bf16(const uint16_t *p) { return (V16){v8_load_bf16_(p), v8_load_bf16_(p + 8)}; }
SIMD void v8_load_turned_(__m256 columns[4], const float *p, size_t stride) {
    __m256 r[4];
    for (size_t i = 0; i < 4; i++) r[i] = _mm256_set_m128(_mm_loadu_ps(p + (i + 4) * stride), _mm_loadu_ps(p + i * stride));
    __m256d t0 = _mm256_castps_pd(_mm256_unpacklo_ps(r[0], r[1])), t1 = _mm256_castps_pd(_mm256_unpackhi_ps(r[0], r[1]));
    __m256d t2 = _mm256_castps_pd(_mm256_unpacklo_ps(r[2], r[3])), t3 = _mm256_castps_pd(_mm256_unpackhi_ps(r[2], r[3]));
    columns[0] = _mm256_castpd_ps(_mm256_unpacklo_pd(t0, t2));
    columns[1] = _mm256_castpd_ps(_mm256_unpackhi_pd(t0, t2));
    columns[2] = _mm256_castpd_ps(_mm256_unpacklo_pd(t1, t3));
    columns[3] = _mm256_castpd_ps(_mm256_unpackhi_pd(t1, t3));
}
SIMD void v16_load_turned(V16 columns[4], const float *p, size_t stride) {
    __m256 upper[4], lower[4];
    v8_load_turned_(upper, p, stride);
    v8_load_turned_(lower, p + 8 * stride, stride);
    for (int j = 0; j < 4; j++) columns[j] = (V16){upper[j], lower[j]};
}

#elif defined(TIER_NEON)

typedef struct { float32x4_t a, b, c, d; } V16;
#define V1(op, x) ((V16){op((x).a), op((x).b), op((x).c), op((x).d)})
#define V2(op, x, y) ((V16){op((x).a, (y).a), op((x).b, (y).b), op((x).c, (y).c), op((x).d, (y).d)})
#define V3(op, x, y, z) ((V16){op((x).a, (y).a, (z).a), op((x).b, (y).b, (z).b), op((x).c, (y).c, (z).c), op((x).d, (y).d, (z).d)})
SIMD V16 v16_set(float x) { return (V16){vdupq_n_f32(x), vdupq_n_f32(x), vdupq_n_f32(x), vdupq_n_f32(x)}; }
SIMD V16 v16_load(const float *p) { return (V16){vld1q_f32(p), vld1q_f32(p + 4), vld1q_f32(p + 8), vld1q_f32(p + 12)}; }
SIMD void v16_store(float *p, V16 x) { vst1q_f32(p, x.a), vst1q_f32(p + 4, x.b), vst1q_f32(p + 8, x.c), vst1q_f32(p + 12, x.d); }
SIMD V16 v16_load_n(const float *p, size_t n) {
    float l[LANES] = {0};
    memcpy(l, p, n * sizeof *p);
    return v16_load(l);
}
SIMD void v16_store_n(float *p, V16 x, size_t n) {
    float l[LANES];
    v16_store(l, x);
    memcpy(p, l, n * sizeof *p);
}
SIMD V16 v16_add(V16 x, V16 y) { return V2(vaddq_f32, x, y); }
SIMD V16 v16_sub(V16 x, V16 y) { return V2(vsubq_f32, x, y); }
SIMD V16 v16_mul(V16 x, V16 y) { return V2(vmulq_f32, x, y); }
SIMD V16 v16_div(V16 x, V16 y) { return V2(vdivq_f32, x, y); }
SIMD V16 v16_sqrt(V16 x) { return V1(vsqrtq_f32, x); }
SIMD V16 v16_fma(V16 x, V16 y, V16 z) { return V3(vfmaq_f32, z, x, y); }
/* not vmaxq and vminq: those prefer NaN and order the zeros */
SIMD float32x4_t v4_max_(float32x4_t x, float32x4_t y) { return vbslq_f32(vcgtq_f32(x, y), x, y); }
SIMD float32x4_t v4_min_(float32x4_t x, float32x4_t y) { return vbslq_f32(vcltq_f32(x, y), x, y); }
SIMD V16 v16_max(V16 x, V16 y) { return V2(v4_max_, x, y); }
SIMD V16 v16_min(V16 x, V16 y) { return V2(v4_min_, x, y); }
SIMD V16 v16_if_less(V16 a, V16 b, V16 x, V16 y) {
    return (V16){vbslq_f32(vcltq_f32(a.a, b.a), x.a, y.a), vbslq_f32(vcltq_f32(a.b, b.b), x.b, y.b),
                 vbslq_f32(vcltq_f32(a.c, b.c), x.c, y.c), vbslq_f32(vcltq_f32(a.d, b.d), x.d, y.d)};
}
SIMD V16 v16_first(V16 x, V16 y, size_t n) {
    static const float number[LANES] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    return v16_if_less(v16_load(number), v16_set((float)n), x, y);
}
SIMD V16 v16_abs(V16 x) { return V1(vabsq_f32, x); }
SIMD float32x4_t v4_scale_(float32x4_t y, float32x4_t t) {
    return vreinterpretq_f32_u32(vaddq_u32(vreinterpretq_u32_f32(y), vshlq_n_u32(vreinterpretq_u32_f32(t), 23)));
}
SIMD V16 v16_scale_(V16 y, V16 t) { return V2(v4_scale_, y, t); }
SIMD float v16_total(V16 x) {
    float32x4_t q = vaddq_f32(vaddq_f32(x.a, x.c), vaddq_f32(x.b, x.d));
    float32x2_t h = vadd_f32(vget_low_f32(q), vget_high_f32(q));
    return vget_lane_f32(h, 0) + vget_lane_f32(h, 1);
}
SIMD float v16_largest(V16 x) {
    float32x4_t q = v4_max_(v4_max_(x.a, x.c), v4_max_(x.b, x.d));
    float32x4_t h = v4_max_(q, vextq_f32(q, q, 2));
    return vgetq_lane_f32(v4_max_(h, vextq_f32(h, h, 1)), 0);
}

SIMD float32x4_t v4_load_f16_(const uint16_t *p) { return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p))); }
SIMD V16 v16_load_f16(const uint16_t *p) { return (V16){v4_load_f16_(p), v4_load_f16_(p + 4), v4_load_f16_(p + 8), v4_load_f16_(p + 12)}; }
SIMD float32x4_t v4_load_bf16_(const uint16_t *p) { return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(p), 16)); }
SIMD V16 v16_load_bf16(const uint16_t *p) {
    return (V16){v4_load_bf16_(p), v4_load_bf16_(p + 4), v4_load_bf16_(p + 8), v4_load_bf16_(p + 12)};
}
SIMD float32x4x4_t v4_load_turned_(const float *p, size_t stride) {
    float32x4x2_t t = vtrnq_f32(vld1q_f32(p), vld1q_f32(p + stride));
    float32x4x2_t u = vtrnq_f32(vld1q_f32(p + 2 * stride), vld1q_f32(p + 3 * stride));
    float32x4x4_t r;
    for (int i = 0; i < 2; i++) {
        r.val[i] = vcombine_f32(vget_low_f32(t.val[i]), vget_low_f32(u.val[i]));
        r.val[i + 2] = vcombine_f32(vget_high_f32(t.val[i]), vget_high_f32(u.val[i]));
    }
    return r;
}
SIMD void v16_load_turned(V16 columns[4], const float *p, size_t stride) {
    float32x4x4_t a = v4_load_turned_(p, stride), b = v4_load_turned_(p + 4 * stride, stride);
    float32x4x4_t c = v4_load_turned_(p + 8 * stride, stride), d = v4_load_turned_(p + 12 * stride, stride);
    for (int j = 0; j < 4; j++) columns[j] = (V16){a.val[j], b.val[j], c.val[j], d.val[j]};
}

#else /* sixteen lanes in an array; the compiler vectorises what the target can */

typedef struct { real v[LANES]; } V16;
#define EACH(expression) \
    do { \
        V16 r_; \
        for (int i = 0; i < LANES; i++) r_.v[i] = (expression); \
        return r_; \
    } while (0)
SIMD V16 v16_set(real x) { EACH(x); }
SIMD V16 v16_load(const real *p) { EACH(p[i]); }
SIMD V16 v16_load_n(const real *p, size_t n) { EACH((size_t)i < n ? p[i] : 0); }
SIMD void v16_store(real *p, V16 a) { memcpy(p, a.v, sizeof a.v); }
SIMD void v16_store_n(real *p, V16 a, size_t n) { memcpy(p, a.v, n * sizeof *p); }
SIMD V16 v16_add(V16 a, V16 b) { EACH(a.v[i] + b.v[i]); }
SIMD V16 v16_sub(V16 a, V16 b) { EACH(a.v[i] - b.v[i]); }
SIMD V16 v16_mul(V16 a, V16 b) { EACH(a.v[i] * b.v[i]); }
SIMD V16 v16_div(V16 a, V16 b) { EACH(a.v[i] / b.v[i]); }
SIMD V16 v16_sqrt(V16 a) { EACH(real_sqrt(a.v[i])); }
SIMD V16 v16_fma(V16 a, V16 b, V16 c) { EACH(real_fma(a.v[i], b.v[i], c.v[i])); }
SIMD V16 v16_max(V16 a, V16 b) { EACH(a.v[i] > b.v[i] ? a.v[i] : b.v[i]); }
SIMD V16 v16_min(V16 a, V16 b) { EACH(a.v[i] < b.v[i] ? a.v[i] : b.v[i]); }
SIMD V16 v16_if_less(V16 a, V16 b, V16 x, V16 y) { EACH(a.v[i] < b.v[i] ? x.v[i] : y.v[i]); }
SIMD V16 v16_first(V16 x, V16 y, size_t n) { EACH((size_t)i < n ? x.v[i] : y.v[i]); }
SIMD V16 v16_abs(V16 a) { EACH(a.v[i] < 0 ? -a.v[i] : a.v[i] + 0); }
SIMD V16 v16_load_f16(const uint16_t *p) { EACH((real)f16_widen(p[i])); }
SIMD V16 v16_load_bf16(const uint16_t *p) { EACH((real)bf16_widen(p[i])); }
SIMD void v16_load_turned(V16 columns[4], const real *p, size_t stride) {
    for (size_t i = 0; i < LANES; i++)
        for (size_t j = 0; j < 4; j++) columns[j].v[i] = p[i * stride + j];
}
#ifndef REAL_F64
SIMD V16 v16_scale_(V16 y, V16 t) { EACH(bits_float(float_bits(y.v[i]) + (float_bits(t.v[i]) << 23))); }
#endif

/* The fixed tree. */
SIMD real v16_total(V16 a) {
    for (int step = 8; step; step /= 2)
        for (int i = 0; i < step; i++) a.v[i] += a.v[i + step];
    return a.v[0];
}
/* The same tree of a > b ? a : b. */
SIMD real v16_largest(V16 a) {
    for (int step = 8; step; step /= 2)
        for (int i = 0; i < step; i++) a.v[i] = a.v[i] > a.v[i + step] ? a.v[i] : a.v[i + step];
    return a.v[0];
}

#endif

#if defined(TIER_AVX512) || defined(TIER_AVX2)
#ifdef TIER_AVX512
SIMD __m256 v16_low_(V16 a) { return _mm512_castps512_ps256(a.v); }
SIMD __m256 v16_high_(V16 a) { return _mm512_extractf32x8_ps(a.v, 1); }
#else
SIMD __m256 v16_low_(V16 a) { return a.a; }
SIMD __m256 v16_high_(V16 a) { return a.b; }
#endif
/* The fixed tree: lane i takes lane i+8, then i+4, i+2, i+1. */
SIMD float v16_total(V16 a) {
    __m256 e = _mm256_add_ps(v16_low_(a), v16_high_(a));
    __m128 q = _mm_add_ps(_mm256_castps256_ps128(e), _mm256_extractf128_ps(e, 1));
    q = _mm_add_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_add_ss(q, _mm_movehdup_ps(q)));
}
/* The same tree of a > b ? a : b. */
SIMD float v16_largest(V16 a) {
    __m256 e = _mm256_max_ps(v16_low_(a), v16_high_(a));
    __m128 q = _mm_max_ps(_mm256_castps256_ps128(e), _mm256_extractf128_ps(e, 1));
    q = _mm_max_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_max_ss(q, _mm_movehdup_ps(q)));
}
#endif

/* e^x within 0.91 ulp (all 2^32 tried); +0 below -87.33 (where the result would be subnormal), infinity above 88.72, NaN for NaN. In the
 * double build d_exp, lane by lane. */
#ifdef REAL_F64
SIMD V16 v16_exp(V16 x) { EACH(d_exp(x.v[i])); }
#else
/* x = k ln 2 + r, |r| <= ln 2 / 2, and e^x = 2^k e^r. The product k times the float nearest to ln 2 is exact inside the
 * first fma. e^r = 1 + r + r^2/2 + ... with the minimax coefficients (Remez) of relative error 2^-27.9. Beyond the range, and for
 * NaN, the arithmetic runs on and its result is not taken. */
SIMD V16 v16_exp(V16 x) {
    const V16 one = v16_set(1.0f), rounder = v16_set(12582912.0f); /* 1.5 * 2^23 */
    V16 t = v16_fma(x, v16_set(1.44269502f), rounder), k = v16_sub(t, rounder);
    V16 r = v16_fma(k, v16_set(-0.693147182f), x);
    r = v16_fma(k, v16_set(1.90465421e-9f), r);
    V16 p = v16_set(0.00138626003f);
    p = v16_fma(p, r, v16_set(0.00836725347f));
    p = v16_fma(p, r, v16_set(0.0416672491f));
    p = v16_fma(p, r, v16_set(0.16666536f));
    p = v16_fma(p, r, v16_set(0.5f));
    p = v16_fma(p, r, one);
    p = v16_fma(p, r, one);
    V16 y = v16_scale_(p, t);
    y = v16_if_less(x, v16_set(88.72284f), y, v16_add(x, v16_set(bits_float(0x7F800000u)))); /* a NaN is less than nothing */
    return v16_if_less(x, v16_set(-87.33654f), v16_set(0.0f), y);
}
#endif

#undef V
#undef V1
#undef V2
#undef V3
#undef EACH
#endif
