/* fp: elementary functions, 16-bit floats, the processor's mode.
 *
 * The functions in double use + - * / and bit operations only, in the order written, so that every machine gets the
 * same bits. Where one rounding too many would cost an ulp, a value is kept as an unevaluated sum hi + lo of two doubles.
 *
 * Constants are single literals: a compiler may fold arithmetic on constants in a wider type (tcc does). Those that end
 * in zero bits on purpose are in hexadecimal. The polynomials are minimax (Remez) on the reduced interval, for the
 * relative error of the function, with the leading terms fixed to their exact values.
 */
#include "fp.h"

#include "simd.h"

#include <assert.h>
#include <fenv.h>
#include <math.h>

/* ---- square root ---------------------------------------------------------------------------- */

/* On x86 the instruction itself: some libms compute in the 80-bit format and round a second time. */
#if defined(__SSE2__) && defined(__GNUC__) && !defined(__TINYC__)
#include <emmintrin.h>
float f_sqrt(float x) { return _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(x))); }
double d_sqrt(double x) { return _mm_cvtsd_f64(_mm_sqrt_sd(_mm_setzero_pd(), _mm_set_sd(x))); }
#else
float f_sqrt(float x) { return sqrtf(x); }
double d_sqrt(double x) { return sqrt(x); }
#endif

/* ---- two doubles as one number --------------------------------------------------------------- */

/* The value hi + lo, with |lo| at most about half an ulp of hi: some 106 bits. */
typedef struct {
    double hi, lo;
} Twofold;

/* a + b exactly (Knuth). */
static Twofold two_sum(double a, double b) {
    double s = a + b, t = s - a;
    return (Twofold){s, (a - (s - t)) + (b - t)};
}

/* The upper 26 bits of a; a minus them is exact (Veltkamp). 134217729 is 2^27 + 1. */
static double upper_half(double a) {
    double t = a * 134217729.0;
    return t - (t - a);
}

/* a * b exactly (Dekker): the four products of halves are exact. */
static Twofold two_product(double a, double b) {
    double p = a * b, ah = upper_half(a), al = a - ah, bh = upper_half(b), bl = b - bh;
    return (Twofold){p, al * bl - (((p - ah * bh) - al * bh) - ah * bl)};
}

static Twofold twofold_mul(Twofold a, Twofold b) {
    Twofold p = two_product(a.hi, b.hi);
    p.lo += a.hi * b.lo + a.lo * b.hi;
    return p;
}

static Twofold twofold_add(Twofold a, Twofold b) {
    Twofold s = two_sum(a.hi, b.hi);
    return two_sum(s.hi, s.lo + (a.lo + b.lo));
}

/* ---- exp ------------------------------------------------------------------------------------- */

#define ROUNDER 6755399441055744.0 /* 1.5 * 2^52: x + ROUNDER - ROUNDER is x rounded to an integer */
#define LN2_HI 0x1.62e42fefa38p-1  /* 42 bits: an integer of 11 bits times it is exact */
#define LN2_LO 5.4979230187083712e-14

static double power_of_two(int k) { return bits_double((uint64_t)(k + 1023) << 52); } /* -1022 <= k <= 1023 */

/* e^(hi + lo). With hi + lo = k ln 2 + r, |r| <= ln 2 / 2, it is 2^k e^r. Of r the rounding error is kept as well, and the
 * series is summed from its small end, so that only the last two additions are felt. 2^k in two halves, because k may
 * leave the range of exponents while the result does not. */
static double exp_sum(double hi, double lo) {
    if (hi != hi) return hi;
    if (hi > 709.79) return bits_double(0x7FF0000000000000u);
    if (hi < -745.14) return 0;
    double k = (hi * 1.4426950408889634 + ROUNDER) - ROUNDER;
    double a = hi - k * LN2_HI, b = k * LN2_LO - lo;
    double r = a - b, error = (a - r) - b;
    double p = 2.497931445720742e-8;
    p = p * r + 2.7624799663011759e-7;
    p = p * r + 2.7557635087857748e-6;
    p = p * r + 2.4801509714616033e-5;
    p = p * r + 0.00019841269476695948;
    p = p * r + 0.0013888888925918019;
    p = p * r + 0.008333333333492815;
    p = p * r + 0.04166666666660631;
    p = p * r + 0.16666666666666449;
    p = p * r + 0.5;
    double y = 1 + (r + (p * (r * r) + error));
    int n = (int)k, half = n / 2;
    return y * power_of_two(half) * power_of_two(n - half);
}

double d_exp(double x) { return exp_sum(x, 0); }

/* ---- log and pow ------------------------------------------------------------------------------ */

/* ln x to about 2^-66 of its value, x > 0 and finite. With x = 2^k m, m in [sqrt(1/2), sqrt 2), and s = (m-1)/(m+1):
 *     ln m = 2 artanh s = 2s + s z (2/3 + z (2/5 + z 2/7 + ...)),   z = s^2 <= 0.0295
 * From 2/5 on one double is enough; before it everything is twofold. */
static Twofold log_twofold(double x) {
    int k = 0;
    if (x < 0x1p-1022) x *= 0x1p54, k = -54;
    int64_t above = (int64_t)(double_bits(x) - 0x3FE6A09E667F3BCDu); /* the bits of sqrt(1/2) */
    int64_t exponent = above >= 0 ? above >> 52 : -((-above + 0xFFFFFFFFFFFFF) >> 52);
    k += (int)exponent;
    double m = bits_double(double_bits(x) - ((uint64_t)exponent << 52));
    double f = m - 1;
    Twofold d = two_sum(m, 1), s;
    s.hi = f / d.hi;
    Twofold back = two_product(s.hi, d.hi);
    s.lo = (((f - back.hi) - back.lo) - s.hi * d.lo) / d.hi;
    Twofold z = twofold_mul(s, s);
    double q = 0.11981192348468403;
    q = q * z.hi + 0.11675850558682002;
    q = q * z.hi + 0.13336260967671576;
    q = q * z.hi + 0.15384558520991487;
    q = q * z.hi + 0.18181818842677322;
    q = q * z.hi + 0.22222222217799328;
    q = q * z.hi + 0.28571428571443813;
    q = q * z.hi + 0.3999999999999998;
    Twofold two_thirds = {0.66666666666666663, 3.7007434154171883e-17};
    Twofold series = twofold_mul(s, twofold_mul(z, twofold_add(two_thirds, (Twofold){q * z.hi, 0})));
    Twofold log_m = twofold_add((Twofold){2 * s.hi, 2 * s.lo}, series);
    return twofold_add((Twofold){k * LN2_HI, k * LN2_LO}, log_m);
}

double d_log(double x) {
    if (x == 0) return bits_double(0xFFF0000000000000u);
    if (!(x > 0) || !is_finite(x)) return x > 0 ? x : bits_double(0x7FF8000000000000u);
    return log_twofold(x).hi;
}

double d_pow(double x, double y) {
    if (x == 1 || y == 0) return 1;
    if (!(x > 0) || !is_finite(x) || !is_finite(y)) return exp_sum(y * d_log(x), 0);
    Twofold log_x = log_twofold(x);
    double rough = y * log_x.hi;
    if (rough > 710 || rough < -746) return exp_sum(rough, 0);
    Twofold product = twofold_mul(log_x, (Twofold){y, 0});
    return exp_sum(product.hi, product.lo);
}

/* ---- sin and cos ------------------------------------------------------------------------------ */

/* x = k pi/2 + r, |r| <= pi/4; returns k mod 4. Three parts of pi/2 have 31 bits each, so that their products with k
 * (22 bits) are exact; the first difference is exact too. r is good to far below an ulp even where it nearly vanishes. */
static unsigned reduce_quarter(double x, Twofold *r) {
    double t = x * 0.63661977236758138 + ROUNDER, k = t - ROUNDER;
    Twofold b = two_sum(x - k * 0x1.921fb544p+0, -(k * 0x1.0b4611a4p-34));
    Twofold c = two_sum(b.hi, -(k * 0x1.13198a2cp-65));
    *r = two_sum(c.hi, (b.lo + c.lo) - k * 1.2706558760139879e-29);
    return (unsigned)double_bits(t) & 3;
}

/* sin(hi + lo) = sin hi + lo cos hi, |hi| <= pi/4 */
static double sin_quarter(Twofold r) {
    double z = r.hi * r.hi;
    double p = 1.5896904020045932e-10;
    p = p * z - 2.5050760172896924e-8;
    p = p * z + 2.7557313706711281e-6;
    p = p * z - 0.00019841269829857402;
    p = p * z + 0.0083333333333224895;
    p = p * z - 0.16666666666666632;
    return r.hi + (r.hi * z * p + r.lo * (1 - 0.5 * z));
}

/* cos(hi + lo) = cos hi - lo sin hi; 1 - z/2 keeps its rounding error. */
static double cos_quarter(Twofold r) {
    double z = r.hi * r.hi, half = 0.5 * z, w = 1 - half;
    double p = -1.1359942613080589e-11;
    p = p * z + 2.0875729449036002e-9;
    p = p * z - 2.7557314402255108e-7;
    p = p * z + 2.4801587289675376e-5;
    p = p * z - 0.0013888888888874478;
    p = p * z + 0.041666666666666602;
    return w + (((1 - w) - half) + (z * z * p - r.hi * r.lo));
}

static double sin_shifted(double x, unsigned quarters) {
    if (!is_finite(x)) return x - x;
    assert(x <= 4194304 && x >= -4194304);
    Twofold r;
    unsigned quadrant = (reduce_quarter(x, &r) + quarters) & 3;
    double y = quadrant & 1 ? cos_quarter(r) : sin_quarter(r);
    return quadrant & 2 ? -y : y;
}

double d_sin(double x) { return sin_shifted(x, 0); }
double d_cos(double x) { return sin_shifted(x, 1); }

/* ---- exp in float ----------------------------------------------------------------------------- */

float f_exp(float x) {
    real lanes[LANES];
    v16_store(lanes, v16_exp(v16_set((real)x)));
    return (float)lanes[0];
}

/* ---- 16-bit floats ---------------------------------------------------------------------------- */

/* f16: sign, 5 bits of exponent (bias 15), 10 of fraction. Subnormals are multiples of 2^-24. */
float f16_widen(uint16_t h) {
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, magnitude = h & 0x7FFF;
    if (magnitude >= 0x7C00) return bits_float(sign | 0x7F800000u | (magnitude & 0x3FF) << 13);
    if (magnitude >= 0x0400) return bits_float(sign | ((magnitude << 13) + (112u << 23))); /* bias 127 - 15 */
    return bits_float(sign | float_bits((float)magnitude * 0x1p-24f));
}

uint16_t f16_round(float x) {
    uint32_t bits = float_bits(x), sign = bits >> 16 & 0x8000, magnitude = bits & 0x7FFFFFFF;
    if (magnitude > 0x7F800000u) return (uint16_t)(sign | 0x7E00 | (magnitude >> 13 & 0x3FF)); /* NaN, made quiet */
    if (magnitude >= 0x47800000u) return (uint16_t)(sign | 0x7C00);                            /* 2^16 and above */
    if (magnitude < 0x38800000u) { /* below 2^-14: the ulp of 1/2 is 2^-24, so the addition rounds to the subnormals */
        float shifted = bits_float(magnitude) + 0.5f;
        return (uint16_t)(sign | (float_bits(shifted) - 0x3F000000u));
    }
    uint32_t even = magnitude >> 13 & 1; /* a carry out of the fraction raises the exponent, up to infinity: as it should */
    return (uint16_t)(sign | (magnitude - (112u << 23) + 0xFFF + even) >> 13);
}

uint16_t bf16_round(float x) {
    uint32_t bits = float_bits(x);
    if ((bits & 0x7FFFFFFF) > 0x7F800000u) return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

/* ---- the processor's mode ---------------------------------------------------------------------- */

void fp_reset_mode(void) {
    fesetenv(FE_DFL_ENV);
#if defined(__SSE2__) && defined(__GNUC__) && !defined(__TINYC__)
    _mm_setcsr(0x1F80); /* exceptions masked, to nearest, no flush-to-zero, subnormal operands as they are */
#endif
}

/* x, y, z and fma(x, y, z): triples on which well-known software fmas round twice or lose a subnormal bit. */
static const uint32_t fma_cases[][4] = {
    {0x97000800, 0x1CFFF001, 0x00010002, 0x00010001},
    {0x3F7288D0, 0x34F91A50, 0xBE7916C0, 0xBE7916A3},
    {0xD58CEEC0, 0x34670000, 0x980645FC, 0xCA7E56DF},
    {0x45800800, 0x45800800, 0x30800000, 0x4B801001},
};

static const char *check_mode(void) {
    /* volatile: what is tested is the processor, not the compiler's arithmetic */
    volatile float one = 1, tiny = 0x1p-126f, half = 0.5f, smallest = bits_float(1), large = 0x1p100f;
    volatile double d_one = 1, d_tiny = 0x1p-1022, d_half = 0.5;
    if (float_bits(tiny * half) != 0x00400000u || double_bits(d_tiny * d_half) != 0x0008000000000000u)
        return "subnormal results are flushed to zero";
    if (float_bits(smallest * large) != 0x27000000u) return "subnormal operands are taken for zero";
    volatile float tie = 0x1p-24f, above = 0x1.8p-24f;
    if (one + tie != 1 || -one - tie != -1 || float_bits(one + above) != 0x3F800001u || float_bits(-one - above) != 0xBF800001u)
        return "float addition does not round to nearest even";
    volatile double d_tie = 0x1p-53, d_above = 0x1.8p-53;
    if (d_one + d_tie != 1 || -d_one - d_tie != -1 || double_bits(d_one + d_above) != 0x3FF0000000000001u)
        return "double addition does not round to nearest even";
    volatile float v = 0x1.001p+0f, w = 0x1.002p+0f; /* v*v rounds to w; fused, 2^-24 would remain */
    float a = v, c = w, r = a * a - c;
    volatile double dv = 0x1.0000001p+0, dw = 0x1.0000002p+0;
    double da = dv, dc = dw, dr = da * da - dc;
    if (r != 0 || dr != 0) return "a product and a sum are fused without being asked to (build with -ffp-contract=off)";
    return NULL;
}

static const char *check_fma(void) {
    for (size_t i = 0; i < sizeof fma_cases / sizeof *fma_cases; i++) {
        volatile float x = bits_float(fma_cases[i][0]), y = bits_float(fma_cases[i][1]), z = bits_float(fma_cases[i][2]);
        if (float_bits(fma_f32(x, y, z)) != fma_cases[i][3]) return "fma is not exact";
        if (float_bits(fma_emulated(x, y, z)) != fma_cases[i][3]) return "the emulation of fma is not exact";
    }
    return NULL;
}

static const char *check_functions(void) {
    volatile float f_two = 2, f_tenth = 0.1f;
    volatile double two = 2, tenth = 0.1, ten = 10;
    if (float_bits(f_tenth) != 0x3DCCCCCDu || double_bits(tenth) != 0x3FB999999999999Au) return "the compiler misreads decimal constants";
    if (float_bits(f_sqrt(f_two)) != 0x3FB504F3u || double_bits(d_sqrt(two)) != 0x3FF6A09E667F3BCDu) return "sqrt is not correctly rounded";
#ifndef REAL_F64
    if (float_bits(f_exp(f_two)) != 0x40EC7326u) return "f_exp gives other bits";
#endif
    if (double_bits(d_exp(tenth)) != 0x3FF1AEC7B35A00D4u) return "d_exp gives other bits";
    if (double_bits(d_log(ten)) != 0x40026BB1BBB55516u) return "d_log gives other bits";
    if (double_bits(d_pow(ten, tenth)) != 0x3FF4248EF8FC2604u) return "d_pow gives other bits";
    if (double_bits(d_sin(ten)) != 0xBFE1689EF5F34F52u) return "d_sin gives other bits";
    if (double_bits(d_cos(ten)) != 0xBFEAD9AC890C6B1Fu) return "d_cos gives other bits";
    return NULL;
}

const char *fp_self_test(void) {
    const char *wrong = check_mode();
    if (!wrong) wrong = check_fma();
    if (!wrong) wrong = check_functions();
    return wrong;
}
