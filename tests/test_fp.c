/* fp and simd: accuracy against long double, exactness against definitions, and one set of golden hashes for all.
 *
 * Without FULL=1 in the environment the searches are samples (each says how large): with it all 2^32 floats are tried.
 * The golden hashes are over fixed inputs: every compiler, tier and libc must print the same ones. */
#include "../fp.h"
#include "../simd.h"
#include "test.h"

#include <fenv.h>
#include <math.h>
#if defined(__SSE2__) && defined(__GNUC__) && !defined(__TINYC__)
#include <xmmintrin.h>
#endif

static bool full(void) { return getenv("FULL") != NULL; }

/* ---- numbers to try --------------------------------------------------------------------------- */

static uint32_t random_word(uint64_t index, uint32_t which) {
    uint32_t words[4];
    philox(words, 1, RNG_TEST, index, which / 4);
    return words[which % 4];
}

/* In [0, 1), 52 bits. */
static double random_unit(uint64_t index, uint32_t which) {
    uint64_t high = random_word(index, 2 * which), low = random_word(index, 2 * which + 1);
    return (double)((high << 32 | low) >> 12) * 0x1p-52;
}

/* Positive, all exponents from 2^low to 2^high equally likely. */
static double random_scale(uint64_t index, uint32_t which, int low, int high) {
    int exponent = low + (int)(random_unit(index, which) * (high - low));
    return ldexp(1 + random_unit(index, which + 1), exponent);
}

/* Any float but NaN; every 4th time one of few bits, so that ties and exact cases occur. */
static float random_float(uint64_t index, uint32_t which) {
    uint32_t bits = random_word(index, which);
    if (bits % 4 == 0) bits &= 0xFFF80000u;
    if ((bits & 0x7F800000u) == 0x7F800000u) bits &= 0xBFFFFFFFu;
    return bits_float(bits);
}

/* ---- the float exponential --------------------------------------------------------------------- */

/* The error of y in units of the last place of the exact value. */
static double ulps_float(float y, double exact) {
    int exponent;
    frexp(exact, &exponent);
    return fabs((double)y - exact) / ldexp(1, exponent - 24);
}

static void check_exp_lanes(const float x[LANES], double *worst, float *worst_x) {
    float y[LANES];
    v16_store(y, v16_exp(v16_load(x)));
    for (int i = 0; i < LANES; i++) {
        if (x[i] != x[i]) CHECK(y[i] != y[i], "exp(NaN) is %a", (double)y[i]);
        else if (x[i] < -87.33654f) CHECK(float_bits(y[i]) == 0, "exp(%a) is %a", (double)x[i], (double)y[i]);
        else if (x[i] >= 88.72284f) CHECK(float_bits(y[i]) == 0x7F800000u, "exp(%a) is %a", (double)x[i], (double)y[i]);
        else {
            double error = ulps_float(y[i], d_exp((double)x[i]));
            if (!(error <= *worst)) *worst = error, *worst_x = x[i];
        }
    }
}

static void test_exp_float(void) {
    uint32_t stride = full() ? 1 : 1009;
    double worst = 0;
    float worst_x = 0, x[LANES];
    for (uint64_t bits = 0; bits <= 0xFFFFFFFFu; bits += (uint64_t)stride * LANES) {
        for (int i = 0; i < LANES; i++) {
            uint64_t b = bits + (uint64_t)i * stride;
            x[i] = bits_float((uint32_t)(b <= 0xFFFFFFFFu ? b : 0));
        }
        check_exp_lanes(x, &worst, &worst_x);
    }
    printf("exp, float, %s: at most %.4f ulp, at %a\n", full() ? "all 2^32" : "every 1009th of 2^32", worst, (double)worst_x);
    CHECK(worst < 0.91, "%f ulp at %a", worst, (double)worst_x);

    float edges[LANES] = {0.0f, -0.0f, 1e-45f, -1e-45f, -87.33654f, -87.33655f, 88.72283f, 88.72284f, 89.5f, -88.5f, 1e38f, -1e38f};
    edges[12] = bits_float(0x7F800000u), edges[13] = bits_float(0xFF800000u), edges[14] = bits_float(0x7FC00000u);
    edges[15] = bits_float(0x7F800001u);
    check_exp_lanes(edges, &worst, &worst_x);
    CHECK(worst < 0.91, "%f ulp at %a", worst, (double)worst_x);
    CHECK(f_exp(0.0f) == 1 && f_exp(-0.0f) == 1);
    CHECK(is_finite((double)f_exp(88.72283f)) && f_exp(-87.33654f) >= FLT_MIN);
    for (int i = 0; i < 1000; i++) { /* f_exp is lane 0, whatever stands in the others */
        float v = (float)(random_unit((uint64_t)i, 0) * 160 - 80), lanes[LANES], y[LANES];
        for (int j = 0; j < LANES; j++) lanes[j] = j == i % LANES ? v : random_float((uint64_t)i, (uint32_t)j);
        v16_store(y, v16_exp(v16_load(lanes)));
        CHECK(float_bits(y[i % LANES]) == float_bits(f_exp(v)), "at %a", (double)v);
    }
}

/* ---- the functions in double -------------------------------------------------------------------- */

#if LDBL_MANT_DIG >= 64 && !defined(__TINYC__) /* tcc passes long doubles wrongly; the golden hashes hold its bits too */

typedef struct {
    double worst, x, y;
    size_t count;
} Worst;

/* The error in units of the last place of the exact value (for a subnormal one: of the smallest double). */
static double ulps_double(double got, long double exact) {
    int exponent;
    frexpl(exact, &exponent);
    if (exponent < -1021) exponent = -1021;
    return (double)(fabsl((long double)got - exact) / ldexpl(1, exponent - 53));
}

static void note(Worst *w, double got, long double exact, double x, double y) {
    double error = ulps_double(got, exact);
    w->count++;
    if (!(error <= w->worst)) w->worst = error, w->x = x, w->y = y;
}

static void report(const char *name, const Worst *w, double bar) {
    printf("%s: at most %.4f ulp in %zu, at %a %a\n", name, w->worst, w->count, w->x, w->y);
    CHECK(w->worst < bar, "%s: %f ulp at %a %a", name, w->worst, w->x, w->y);
}

static void test_functions(void) {
    size_t count = full() ? 20000000 : 200000;
    Worst e = {0}, small = {0}, l = {0}, near_one = {0}, p = {0}, rope = {0}, s = {0}, c = {0};
    for (uint64_t i = 0; i < count; i++) {
        double x = random_unit(i, 0) * 1418 - 708.39, sign = i & 1 ? -1 : 1;
        if (x < 709.78) note(&e, d_exp(x), expl((long double)x), x, 0);
        x = sign * random_scale(i, 1, -60, 9);
        note(&e, d_exp(x), expl((long double)x), x, 0);
        x = -708.39 - random_unit(i, 0) * 37;
        note(&small, d_exp(x), expl((long double)x), x, 0);

        x = random_scale(i, 3, -1074, 1023);
        note(&l, d_log(x), logl((long double)x), x, 0);
        x = 1 + sign * random_scale(i, 5, -53, -1);
        note(&near_one, d_log(x), logl((long double)x), x, 0);

        double target = random_unit(i, 0) * 1416 - 708, power;
        x = i & 2 ? random_scale(i, 3, -1022, 1023) : x;
        power = x != 1 ? target / d_log(x) : target;
        note(&p, d_pow(x, power), powl((long double)x, (long double)power), x, power);
        x = 10 + 1e7 * random_unit(i, 7), power = random_unit(i, 8);
        note(&rope, d_pow(x, power), powl((long double)x, (long double)power), x, power);

        double angles[4] = {sign * 4194304 * random_unit(i, 9), sign * random_scale(i, 10, -40, 22), 0, 0};
        angles[2] = (double)(floorl((long double)random_unit(i, 12) * 2670176.0L) * 1.57079632679489661923L); /* one vanishes */
        angles[3] = (double)((float)(i % 131072) * (float)random_unit(i, 13));                   /* a rotary angle */
        for (int j = 0; j < 4; j++) {
            note(&s, d_sin(angles[j]), sinl((long double)angles[j]), angles[j], 0);
            note(&c, d_cos(angles[j]), cosl((long double)angles[j]), angles[j], 0);
        }
    }
    report("d_exp", &e, 1);
    report("d_exp, subnormal results", &small, 1);
    report("d_log", &l, 0.51);
    report("d_log near 1", &near_one, 0.51);
    report("d_pow", &p, 2);
    report("d_pow, theta^e", &rope, 1);
    report("d_sin", &s, 1);
    report("d_cos", &c, 1);
    /* the measure itself: the next double is one ulp away */
    CHECK(ulps_double(bits_double(double_bits(2.5) + 1), 2.5L) == 1 && ulps_double(bits_double(1), 0x1p-1073L) == 1);
}

static void test_sqrt(void) {
    Worst w = {0};
    int wrong = 0;
    for (uint64_t i = 0; i < (full() ? 10000000 : 100000); i++) {
        float x = fabsf(random_float(i, 0));
        wrong += float_bits(f_sqrt(x)) != float_bits((float)d_sqrt((double)x)); /* 53 >= 2*24 + 2 bits: rounding twice is right */
        double y = random_scale(i, 1, -1074, 1023);
        note(&w, d_sqrt(y), sqrtl((long double)y), y, 0);
    }
    CHECK(wrong == 0, "%d", wrong);
    report("d_sqrt", &w, 0.501);
}

#else
static void test_functions(void) { SKIP("no long double to compare with"); }
static void test_sqrt(void) { SKIP("no long double to compare with"); }
#endif

static void test_special(void) {
    double infinity = bits_double(0x7FF0000000000000u), nan = bits_double(0x7FF8000000000000u);
    CHECK(d_exp(0) == 1 && d_exp(-0.0) == 1 && d_exp(infinity) == infinity && double_bits(d_exp(-infinity)) == 0);
    CHECK(d_exp(709.78) < infinity && d_exp(709.79) == infinity && d_exp(1e300) == infinity);
    CHECK(d_exp(-745.13) == 0x1p-1074 && double_bits(d_exp(-745.14)) == 0 && double_bits(d_exp(-1e300)) == 0 && d_exp(nan) != d_exp(nan));
    CHECK(double_bits(d_log(1)) == 0 && d_log(0) == -infinity && d_log(-0.0) == -infinity && d_log(infinity) == infinity);
    CHECK(d_log(-1) != d_log(-1) && d_log(nan) != d_log(nan) && d_log(-infinity) != d_log(-infinity));
    CHECK(d_pow(1, nan) == 1 && d_pow(nan, 0) == 1 && d_pow(nan, 1) != d_pow(nan, 1) && d_pow(2, nan) != d_pow(2, nan));
    CHECK(d_pow(2, 10) == 1024 && d_pow(10, 22) == 1e22 && d_pow(4, 0.5) == 2 && d_pow(2, -1074) == 0x1p-1074);
    CHECK(d_pow(2, 1024) == infinity && double_bits(d_pow(2, -1080)) == 0 && d_pow(1.5, 1e300) == infinity && d_pow(0.5, 1e300) == 0);
    CHECK(d_pow(0, 2) == 0 && d_pow(0, -2) == infinity && d_pow(infinity, 2) == infinity && d_pow(infinity, -2) == 0);
    CHECK(d_pow(2, infinity) == infinity && d_pow(2, -infinity) == 0 && d_pow(0.5, -infinity) == infinity && d_pow(-2, 3) != d_pow(-2, 3));
    CHECK(double_bits(d_sin(0)) == 0 && d_sin(-0.0) == 0 && d_cos(0) == 1);
    CHECK(d_sin(infinity) != d_sin(infinity) && d_cos(nan) != d_cos(nan) && d_sin(5e-324) == 5e-324);
    CHECK(f_sqrt(0.0f) == 0 && float_bits(f_sqrt(-0.0f)) == 0x80000000u && f_sqrt(-1.0f) != f_sqrt(-1.0f));
    CHECK(is_finite(DBL_MAX) && !is_finite(infinity) && !is_finite(-infinity) && !is_finite(nan));
}

/* ---- fma ---------------------------------------------------------------------------------------- */

/* Where the double sum is a tie of the float rounding, or the result is subnormal, or nearly everything cancels. */
static void fma_triple(uint64_t i, float v[3]) {
    for (uint32_t k = 0; k < 3; k++) v[k] = random_float(i, k);
    if (i % 4 == 0) return; /* anything at all */
    for (uint32_t k = 0; k < 2; k++) { /* moderate factors, whose product and the addend lie within some 80 bits */
        int exponent = 127 + (int)(random_word(i, 3 + k) % 32) - 16;
        if (i % 4 == 3) exponent -= 64; /* products about 2^-128 */
        v[k] = bits_float((float_bits(v[k]) & 0x807FFFFFu) | (uint32_t)exponent << 23);
    }
    double product = (double)v[0] * (double)v[1];
    if (i % 4 == 1) v[2] = -bits_float(float_bits((float)product) + random_word(i, 5) % 5 - 2);
    else {
        float near = (float)(product * ldexp(1, (int)(random_word(i, 6) % 80) - 40));
        v[2] = bits_float((float_bits(v[2]) & 0x807FFFFFu) | (float_bits(near) & 0x7F800000u));
    }
}

static float fma_naive(float a, float b, float c) { return (float)((double)a * (double)b + (double)c); }

static void test_fma(void) {
    size_t count = full() ? 100000000 : 1000000, differ = 0, naive = 0, subnormal = 0;
    for (uint64_t i = 0; i < count; i++) {
        float v[3];
        fma_triple(i, v);
        uint32_t emulated = float_bits(fma_emulated(v[0], v[1], v[2])), other = float_bits(fma_f32(v[0], v[1], v[2]));
        bool both_nan = (emulated & 0x7FFFFFFF) > 0x7F800000u && (other & 0x7FFFFFFF) > 0x7F800000u;
        differ += emulated != other && !both_nan;
        naive += emulated != float_bits(fma_naive(v[0], v[1], v[2])) && !both_nan;
        subnormal += (emulated & 0x7F800000u) == 0 && (emulated & 0x7FFFFFFFu);
    }
    printf("fma (%s): %zu triples, %zu with subnormal results; rounding twice would be wrong in %zu\n", FMA_KIND, count, subnormal, naive);
    CHECK(differ == 0, "%zu of %zu", differ, count);
    CHECK(naive > count / 10000 && subnormal > count / 100, "the triples are too easy: %zu, %zu", naive, subnormal);
}

/* ---- 16-bit floats -------------------------------------------------------------------------------- */

/* Literal: sign, exponent, fraction. */
static double f16_value(uint32_t h) {
    int exponent = h >> 10 & 31, fraction = h & 1023;
    double magnitude = exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24);
    return h & 0x8000 ? -magnitude : magnitude;
}

/* Narrowing is monotonic, so the ends of each value's interval decide all floats: the midpoint of two neighbours goes to
 * the even one, its float neighbours to the nearer. */
static void check_narrowing(uint16_t (*narrow)(float), float (*widen)(uint16_t), uint32_t infinity) {
    for (uint32_t h = 0; h < infinity; h++) {
        float low = widen((uint16_t)h), high = h + 1 < infinity ? widen((uint16_t)(h + 1)) : 2 * low - widen((uint16_t)(h - 1));
        uint32_t middle = float_bits((float)(((double)low + (double)high) / 2));
        if (high - low > FLT_MAX) middle = float_bits(low) | 0x8000; /* beyond the largest bf16 there is no float */
        for (uint32_t sign = 0; sign <= 0x8000; sign += 0x8000) {
            uint32_t even = h + (h & 1), s = sign << 16;
            CHECK(narrow(bits_float(middle | s)) == (even | sign), "tie above %04x", h | sign);
            CHECK(narrow(bits_float((middle - 1) | s)) == (h | sign), "below the tie above %04x", h | sign);
            CHECK(narrow(bits_float((middle + 1) | s)) == ((h + 1) | sign), "above the tie above %04x", h | sign);
        }
    }
}

static void test_sixteen_bits(void) {
    for (uint32_t h = 0; h < 65536; h++) {
        float half = f16_widen((uint16_t)h), brain = bf16_widen((uint16_t)h);
        if ((h & 0x7FFF) > 0x7C00) CHECK(half != half && f16_round(half) == (h | 0x200), "f16 NaN %04x", h);
        else CHECK(f16_round(half) == h, "f16 %04x", h);
        if ((h & 0x7C00) != 0x7C00) CHECK((double)half == f16_value(h) && float_bits(half) >> 31 == h >> 15, "f16 %04x", h);
        if ((h & 0x7FFF) > 0x7F80) CHECK(brain != brain && bf16_round(brain) == (h | 0x40), "bf16 NaN %04x", h);
        else CHECK(bf16_round(brain) == h, "bf16 %04x", h);
    }
    check_narrowing(f16_round, f16_widen, 0x7C00);
    check_narrowing(bf16_round, bf16_widen, 0x7F80);
    CHECK(f16_round(bits_float(0x7F800001u)) == 0x7E00 && bf16_round(bits_float(0x7F800001u)) == 0x7FC0);
    CHECK(f16_round(FLT_MAX) == 0x7C00 && f16_round(1e-45f) == 0 && f16_round(-1e-45f) == 0x8000 && f16_round(65519.996f) == 0x7BFF);
}

/* ---- sixteen lanes ---------------------------------------------------------------------------------- */

static bool same(float a, float b) { return float_bits(a) == float_bits(b) || (a != a && b != b); }

static void check_lanes(const char *name, V16 got, const float want[LANES]) {
    float l[LANES];
    v16_store(l, got);
    for (int i = 0; i < LANES; i++) CHECK(same(l[i], want[i]), "%s, lane %d: %a, not %a", name, i, (double)l[i], (double)want[i]);
}

#define LANEWISE(name, expression) \
    do { \
        float want[LANES]; \
        for (int i = 0; i < LANES; i++) want[i] = (expression); \
        check_lanes(#name, name, want); \
    } while (0)

static void test_lanes(void) {
    float special[] = {0.0f, -0.0f, 1.0f, -1.0f, 1e-45f, -1e-40f, FLT_MIN, FLT_MAX, 0, 0, 0};
    special[8] = bits_float(0x7F800000u), special[9] = bits_float(0xFF800000u), special[10] = bits_float(0x7FC00000u);
    for (uint64_t t = 0; t < 2000; t++) {
        float a[LANES], b[LANES], c[LANES];
        for (uint32_t i = 0; i < LANES; i++) {
            a[i] = random_float(t, i), b[i] = random_float(t, 16 + i), c[i] = random_float(t, 32 + i);
            if (t % 3 == 0) a[i] = special[random_word(t, 48 + i) % 11], b[i] = special[random_word(t, 64 + i) % 11];
        }
        V16 x = v16_load(a), y = v16_load(b), z = v16_load(c);
        LANEWISE(v16_add(x, y), a[i] + b[i]);
        LANEWISE(v16_sub(x, y), a[i] - b[i]);
        LANEWISE(v16_mul(x, y), a[i] * b[i]);
        LANEWISE(v16_div(x, y), a[i] / b[i]);
        LANEWISE(v16_sqrt(x), f_sqrt(a[i]));
        LANEWISE(v16_fma(x, y, z), fma_emulated(a[i], b[i], c[i]));
        LANEWISE(v16_max(x, y), a[i] > b[i] ? a[i] : b[i]);
        LANEWISE(v16_min(x, y), a[i] < b[i] ? a[i] : b[i]);
        LANEWISE(v16_if_less(x, y, z, x), a[i] < b[i] ? c[i] : a[i]);
        LANEWISE(v16_abs(x), fabsf(a[i]));
        LANEWISE(v16_set(a[3]), a[3]);
        for (size_t n = 1; n < LANES; n++) LANEWISE(v16_first(x, y, n), (size_t)i < n ? a[i] : b[i]);
    }
}

/* The tree as a sentence: lanes i and i+8, then i+4, then i+2, then i+1. */
static float literal_total(const float l[LANES]) {
    float e[8], q[4];
    for (int i = 0; i < 8; i++) e[i] = l[i] + l[i + 8];
    for (int i = 0; i < 4; i++) q[i] = e[i] + e[i + 4];
    return (q[0] + q[2]) + (q[1] + q[3]);
}

static void test_totals(void) {
    int order_matters = 0;
    for (uint64_t t = 0; t < 2000; t++) {
        float l[LANES], largest, chain = 0;
        for (uint32_t i = 0; i < LANES; i++) l[i] = (float)(random_unit(t, i) * 2 - 1), chain += l[i];
        largest = l[0];
        for (int i = 1; i < LANES; i++) largest = l[i] > largest ? l[i] : largest;
        CHECK(v16_total(v16_load(l)) == literal_total(l));
        CHECK(v16_largest(v16_load(l)) == largest);
        order_matters += chain != literal_total(l);
    }
    CHECK(order_matters > 500, "%d", order_matters); /* else the comparison shows nothing */
}

/* Tails: exactly n floats are touched (blocks of exactly n floats: the address sanitizer watches their ends). */
static void test_tails(void) {
    for (size_t n = 1; n < LANES; n++) {
        float *p = malloc(n * sizeof *p), l[LANES], whole[LANES];
        for (size_t i = 0; i < LANES; i++) whole[i] = (float)i + 1;
        for (size_t i = 0; i < n; i++) p[i] = -(float)i - 1;
        v16_store(l, v16_load_n(p, n));
        for (size_t i = 0; i < LANES; i++) CHECK(float_bits(l[i]) == (i < n ? float_bits(-(float)i - 1) : 0), "lane %zu of %zu", i, n);
        v16_store_n(p, v16_load(whole), n);
        for (size_t i = 0; i < n; i++) CHECK(p[i] == (float)i + 1, "%zu of %zu", i, n);
        free(p);
        float guarded[LANES] = {0};
        v16_store_n(guarded, v16_load(whole), n);
        for (size_t i = 0; i < LANES; i++) CHECK(guarded[i] == (i < n ? (float)i + 1 : 0), "%zu of %zu", i, n);
    }
}

static void test_loads(void) {
    for (uint32_t h = 0; h < 65536; h += LANES) {
        uint16_t halves[LANES];
        for (uint32_t i = 0; i < LANES; i++) halves[i] = (uint16_t)(h + i);
        LANEWISE(v16_load_f16(halves), f16_widen(halves[i]));
        LANEWISE(v16_load_bf16(halves), bf16_widen(halves[i]));
    }
    for (size_t stride = 4; stride < 10; stride++) {
        size_t count = (LANES - 1) * stride + 4;
        float *p = malloc(count * sizeof *p); /* nothing behind the last row's fourth */
        for (size_t i = 0; i < count; i++) p[i] = (float)i + 1;
        V16 columns[4];
        v16_load_turned(columns, p, stride);
        for (size_t j = 0; j < 4; j++) LANEWISE(columns[j], p[(size_t)i * stride + j]);
        free(p);
    }
}

/* ---- the processor's mode --------------------------------------------------------------------------- */

static void test_mode(void) {
    fp_reset_mode();
    const char *wrong = fp_self_test();
    CHECK(wrong == NULL, "%s", wrong);
    static const int modes[] = {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};
    for (int i = 0; i < 3; i++) {
        fesetround(modes[i]);
        wrong = fp_self_test();
        fp_reset_mode();
        CHECK(wrong && strstr(wrong, "nearest"), "rounding %d: %s", i, wrong ? wrong : "not noticed");
        CHECK(fegetround() == FE_TONEAREST && fp_self_test() == NULL);
    }
#if defined(__SSE2__) && defined(__GNUC__) && !defined(__TINYC__)
    for (unsigned flag = 0x40; flag <= 0x8000; flag = flag == 0x40 ? 0x8000 : 0x10000) { /* subnormal operands, results as zero */
        _mm_setcsr(0x1F80 | flag);
        wrong = fp_self_test();
        fp_reset_mode();
        CHECK(wrong && strstr(wrong, "subnormal") && fp_self_test() == NULL, "flag %x: %s", flag, wrong ? wrong : "not noticed");
    }
#elif defined(__aarch64__)
    uint64_t flush = 1 << 24;
    __asm__ volatile("msr fpcr, %0" : : "r"(flush));
    wrong = fp_self_test();
    fp_reset_mode();
    CHECK(wrong && strstr(wrong, "subnormal") && fp_self_test() == NULL, "%s", wrong ? wrong : "not noticed");
#endif
}

/* ---- golden hashes ------------------------------------------------------------------------------------ */

enum { GOLDEN = 20000 };

static void hash_float(Sha256 *s, float y) {
    uint32_t bits = y == y ? float_bits(y) : 0x7FC00000u; /* the sign and payload of a NaN are nobody's promise */
    sha256_add(s, &bits, sizeof bits);
}
static void hash_double(Sha256 *s, double y) {
    uint64_t bits = y == y ? double_bits(y) : 0x7FF8000000000000u;
    sha256_add(s, &bits, sizeof bits);
}

static void golden_exp_float(Sha256 *s) {
    for (uint64_t bits = 0; bits <= 0xFFFFFFFFu; bits += 104729) hash_float(s, f_exp(bits_float((uint32_t)bits)));
}
static void golden_exp(Sha256 *s) {
    for (uint64_t i = 0; i < GOLDEN; i++) hash_double(s, d_exp(random_unit(i, 0) * 1460 - 748));
}
static void golden_log(Sha256 *s) {
    for (uint64_t i = 0; i < GOLDEN; i++)
        hash_double(s, d_log(random_scale(i, 0, -1074, 1023))), hash_double(s, d_log(0.5 + random_unit(i, 1)));
}
static void golden_pow(Sha256 *s) {
    for (uint64_t i = 0; i < GOLDEN; i++) hash_double(s, d_pow(random_scale(i, 0, -30, 30), random_unit(i, 2) * 60 - 30));
}
static void golden_sin_cos(Sha256 *s) {
    for (uint64_t i = 0; i < GOLDEN; i++) {
        double x = (random_unit(i, 0) * 2 - 1) * (i & 1 ? 4194304 : 8);
        hash_double(s, d_sin(x)), hash_double(s, d_cos(x));
    }
}
static void golden_sqrt(Sha256 *s) {
    for (uint64_t i = 0; i < GOLDEN; i++)
        hash_float(s, f_sqrt(random_float(i, 0))), hash_double(s, d_sqrt(random_scale(i, 1, -1074, 1023)));
}
static void golden_fma(Sha256 *s) {
    for (uint64_t i = 0; i < GOLDEN * 10; i++) {
        float v[3];
        fma_triple(i, v);
        hash_float(s, fma_f32(v[0], v[1], v[2])), hash_float(s, fma_emulated(v[0], v[1], v[2]));
    }
}
static void golden_sixteen_bits(Sha256 *s) {
    for (uint64_t i = 0; i < GOLDEN; i++) {
        float x = random_float(i, 0);
        uint16_t narrow[3] = {f16_round(x), bf16_round(x), f16_round((float)(random_unit(i, 1) * 1e-5))};
        sha256_add(s, narrow, sizeof narrow);
    }
}
static void golden_totals(Sha256 *s) {
    for (uint64_t i = 0; i < GOLDEN / 10; i++) {
        float l[LANES];
        for (uint32_t j = 0; j < LANES; j++) l[j] = (float)(random_unit(i, j) * 2 - 1);
        hash_float(s, v16_total(v16_exp(v16_load(l))));
    }
}

static const struct {
    const char *name;
    void (*fill)(Sha256 *);
    const char *hash; /* the first 16 digits */
} goldens[] = {
    {"f_exp", golden_exp_float, "ee3fc0a19e13a9a3"},
    {"d_exp", golden_exp, "0a37655a0de5f031"},
    {"d_log", golden_log, "86a14965f30bddf5"},
    {"d_pow", golden_pow, "357d66dd261ed9ed"},
    {"sin, cos", golden_sin_cos, "a87ccef294ff75d4"},
    {"sqrt", golden_sqrt, "229007bb03dadb4c"},
    {"fma", golden_fma, "b89a84d5ce1d7181"},
    {"f16, bf16", golden_sixteen_bits, "47af0d788c2014f2"},
    {"totals", golden_totals, "ea8ad8b2aba5d0d5"},
};

static void test_golden(void) {
    for (size_t i = 0; i < sizeof goldens / sizeof *goldens; i++) {
        Sha256 s;
        unsigned char digest[32];
        char hex[65];
        sha256_begin(&s);
        goldens[i].fill(&s);
        sha256_end(&s, digest);
        sha256_hex(digest, hex);
        hex[16] = 0;
        CHECK(!strcmp(hex, goldens[i].hash), "%s: golden %s, here %s", goldens[i].name, goldens[i].hash, hex);
    }
}

TESTS({"exp in float", test_exp_float}, {"functions in double", test_functions}, {"sqrt", test_sqrt}, {"special values", test_special},
      {"fma", test_fma}, {"sixteen bits", test_sixteen_bits}, {"lanes", test_lanes}, {"totals", test_totals}, {"tails", test_tails}, {"loads", test_loads},
      {"mode", test_mode}, {"golden", test_golden})
