#include "test.h"

#include "../decimal.h"

#include <float.h>

/* The libc's strtod and printf are the other opinion here, and only here. LONG=100 in the environment: that
 * many times as many random numbers. */

static uint64_t times(void) {
    const char *s = getenv("LONG");
    return s ? strtoull(s, NULL, 10) : 1;
}

static double double_of(uint64_t bits) {
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static uint64_t bits_of(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static float float_of(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static uint64_t random_bits(uint64_t i) {
    uint32_t word[4];
    philox(word, 17, RNG_TEST, i, 0);
    return word[0] | (uint64_t)word[1] << 32;
}

/* Read by ours: the same bits as the libc's. */
static void check_parse(const char *text) {
    double got = 0, want = strtod(text, NULL);
    bool ok = decimal_parse(text, strlen(text), &got);
    if (want > DBL_MAX || want < -DBL_MAX) CHECK(!ok, "%s is out of range", text);
    else CHECK(ok && bits_of(got) == bits_of(want), "%s gave %a, not %a", text, got, want);
}

/* The digits of a number's text without point, exponent and zeros around; their count. */
static int digits_of(const char *text, char digits[40]) {
    int n = 0;
    for (; *text && *text != 'e'; text++)
        if (*text >= '0' && *text <= '9' && (n || *text != '0')) digits[n++] = *text;
    while (n && digits[n - 1] == '0') n--;
    digits[n] = 0;
    return n;
}

/* text is the shortest for x, and the nearest of that length, as far as the libc's rounding to n digits can say:
 * its nearest with one digit less does not read back; its nearest with as many, if it reads back, is ours. */
static void check_shortest(const char *text, double x, bool single) {
    char ours[40], theirs[64], digits[40];
    int n = digits_of(text, ours);
    if (n > 1) {
        snprintf(theirs, sizeof theirs, "%.*e", n - 2, x);
        CHECK(single ? strtof(theirs, NULL) != (float)x : strtod(theirs, NULL) != x, "%s is shorter than %s", theirs, text);
    }
    snprintf(theirs, sizeof theirs, "%.*e", n - 1, x);
    if (single ? strtof(theirs, NULL) != (float)x : strtod(theirs, NULL) != x) return;
    digits_of(theirs, digits);
    CHECK(!strcmp(ours, digits), "%s is nearer than %s", theirs, text);
}

static void check_print(double x) {
    char text[DECIMAL_MAX];
    double back = 0;
    size_t n = decimal_print(text, x);
    CHECK(n == strlen(text) && n < 26, "length %zu of %s", n, text);
    CHECK(decimal_parse(text, n, &back) && bits_of(back) == bits_of(x), "%s reads back as %a, not %a", text, back, x);
    CHECK(bits_of(strtod(text, NULL)) == bits_of(x), "strtod reads %s as something else than %a", text, x);
    check_shortest(text, x, false);
}

static void check_print_float(float x) {
    char text[DECIMAL_MAX];
    double back = 0;
    size_t n = decimal_print_float(text, x);
    CHECK(n == strlen(text) && n < 26, "length %zu of %s", n, text);
    CHECK(decimal_parse(text, n, &back) && (float)back == x, "%s reads back as %a, not %a", text, (double)(float)back, (double)x);
    CHECK(strtof(text, NULL) == x, "strtof reads %s as something else than %a", text, (double)x);
    check_shortest(text, (double)x, true);
}

static void test_known(void) {
    static const struct {
        const char *in, *out;
    } cases[] = {{"0", "0"}, {"-0", "-0"}, {"1", "1"}, {"-1", "-1"}, {"128", "128"}, {"0.83", "0.83"}, {"1.6374545", "1.6374545"},
                 {"1e2", "100"}, {"1.5E-7", "1.5e-7"}, {"0.0001", "0.0001"}, {"0.00012345", "0.00012345"}, {"0.00009", "9e-5"},
                 {"999999999999999", "999999999999999"}, {"1000000000000000", "1e15"}, {"123456789012345.6", "123456789012345.6"},
                 {"9007199254740993", "9.007199254740992e15"}, {"9007199254740992.999", "9.007199254740992e15"},
                 {"9007199254740993.0000000000000000000000000000000000000001", "9.007199254740994e15"}, {"1e23", "1e23"},
                 {"8.41e21", "8.41e21"}, {"5e-324", "5e-324"}, {"2.4703282292062327e-324", "0"}, {"2.4703282292062328e-324", "5e-324"},
                 {"2.2250738585072011e-308", "2.225073858507201e-308"}, {"2.2250738585072014e-308", "2.2250738585072014e-308"},
                 {"1.7976931348623157e308", "1.7976931348623157e308"}, {"1.7976931348623158e308", "1.7976931348623157e308"},
                 {"179769313486231580793728971405301e276", "1.7976931348623157e308"},
                 {"1e-400", "0"}, {"-1e-99999999999999999999", "-0"}, {"0e99999999999999999999", "0"}, {".5", "0.5"}, {"5.", "5"},
                 {"+7", "7"}, {"00012.500", "12.5"}, {"5.684341886080801486968994140625e-14", "5.684341886080802e-14"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double x;
        char text[DECIMAL_MAX];
        CHECK(decimal_parse(cases[i].in, strlen(cases[i].in), &x), "%s was refused", cases[i].in);
        decimal_print(text, x);
        CHECK(!strcmp(text, cases[i].out), "%s gave %s, not %s", cases[i].in, text, cases[i].out);
    }
    static const struct {
        float in;
        const char *out;
    } floats[] = {{0.1f, "0.1"}, {3e-4f, "0.0003"}, {1e-5f, "1e-5"}, {16777216.0f, "16777216"}, {123456792.0f, "123456790"}, {-0.0f, "-0"},
                  {FLT_MAX, "3.4028235e38"}, {FLT_MIN, "1.1754944e-38"}, {1e-45f, "1e-45"}, {0.3333333433f, "0.33333334"},
                  {1e15f, "1e15"}, {9.999e14f, "999900000000000"}};
    for (size_t i = 0; i < sizeof floats / sizeof *floats; i++) {
        char text[DECIMAL_MAX];
        decimal_print_float(text, floats[i].in);
        CHECK(!strcmp(text, floats[i].out), "%a gave %s, not %s", (double)floats[i].in, text, floats[i].out);
    }
    char text[DECIMAL_MAX];
    CHECK(decimal_print(text, double_of((uint64_t)0x7ff8 << 48)) == 3 && !strcmp(text, "nan"), "%s", text);
    CHECK(decimal_print(text, double_of((uint64_t)0x7ff0 << 48)) == 3 && !strcmp(text, "inf"), "%s", text);
    CHECK(decimal_print_float(text, float_of(0xff800000)) == 4 && !strcmp(text, "-inf"), "%s", text);
}

static void test_refused(void) {
    static const char *const cases[] = {"", "-", "+", ".", "-.", "e5", ".e5", "1e", "1e+", "1e-", "1.2.3", "1,5", " 1", "1 ", "0x10", "inf",
                                        "nan", "1e5.5", "--1", "+-1", "1e--5", "1_0", "1f", "1e309", "-1.8e308", "1.7976931348623159e308",
                                        "1e99999999999999999999", "179769313486231580793728971405305e276"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double x = 7;
        CHECK(!decimal_parse(cases[i], strlen(cases[i]), &x) && bits_of(x) == bits_of(7), "\"%s\" was taken for %g", cases[i], x);
    }
    double x = 0;
    CHECK(decimal_parse("12345", 3, &x) && (int)x == 123, "only len bytes are read: %g", x);
    CHECK(!decimal_parse("1\0", 2, &x), "a NUL is no digit");
}

/* Every exponent of a double: its first, second and last mantissa, and one between. */
static void test_all_exponents(void) {
    for (uint64_t field = 0; field < 2047; field++) {
        uint64_t last = ((uint64_t)1 << 52) - 1, mantissa[4] = {0, 1, last, random_bits(field) & last};
        for (int i = 0; i < 4; i++) check_print(double_of(field << 52 | mantissa[i]));
    }
    for (int bit = 0; bit < 52; bit++)
        for (uint64_t k = 1; k < 4; k++) check_print(double_of(((uint64_t)1 << bit) * k)); /* subnormal */
    for (uint32_t field = 0; field < 255; field++) {
        uint32_t mantissa[5] = {0, 1, 0x7fffff, (uint32_t)random_bits(field) & 0x7fffff, 0x400000};
        for (int i = 0; i < 5; i++) check_print_float(float_of(field << 23 | mantissa[i]));
    }
    for (uint32_t i = 1; i < 2000; i++) check_print_float(float_of(i));
}

/* Below a power of two the neighbours stand closer, which the libc's rounding cannot judge; so these are compared
 * with another implementation, by hash: tests/compare/decimal_text.py. */
static void test_powers_of_two(void) {
    Buf doubles = {0}, floats = {0};
    char text[DECIMAL_MAX], hex[65];
    for (uint64_t i = 0; i < 2098; i++) {
        decimal_print(text, double_of(i < 52 ? (uint64_t)1 << i : (i - 51) << 52));
        buf_str(&doubles, text), buf_char(&doubles, '\n');
    }
    for (uint32_t i = 0; i < 277; i++) {
        decimal_print_float(text, float_of(i < 23 ? 1u << i : (i - 22) << 23));
        buf_str(&floats, text), buf_char(&floats, '\n');
    }
    sha256_of(doubles.data, doubles.len, hex);
    CHECK(!strcmp(hex, "737e805144daa93fdbd873a7dc1a30818f585498fa5725836d87f87cc685265b"), "doubles: %s", hex);
    sha256_of(floats.data, floats.len, hex);
    CHECK(!strcmp(hex, "8690b6aef8f89f7cf28426adbca4798f69c7e5aa2150446dfd4752ae8e969828"), "floats: %s", hex);
    buf_free(&doubles), buf_free(&floats);
}

static void test_random_doubles(void) {
    for (uint64_t i = 0, n = 20000 * times(); i < n; i++) {
        double x = double_of(random_bits(i));
        char text[64];
        if (x != x || x - x != 0) continue;
        check_print(x);
        snprintf(text, sizeof text, "%.17g", x), check_parse(text);
        snprintf(text, sizeof text, "%.14g", x), check_parse(text);
        check_print((double)(int64_t)(random_bits(i) >> 11) * 0x1p-53); /* 0..1 */
        check_print((double)(int32_t)(random_bits(i) >> 33) / 100);     /* two decimals */
    }
}

static void test_random_floats(void) {
    for (uint64_t i = 0, n = 40000 * times(); i < n; i++) {
        float x = float_of((uint32_t)random_bits(i));
        if (x - x == 0) check_print_float(x);
    }
}

/* 7.038531e-26 lies between the midpoint of two floats and the next double: rounded once it is the odd float
 * 0x15ae43fd, rounded to a double first it is the even one after it. It is the only such float. */
static void test_float_through_double(void) {
    float x = float_of(0x15ae43fd);
    char text[DECIMAL_MAX];
    double back = 0;
    CHECK(strtof("7.038531e-26", NULL) == x && (float)strtod("7.038531e-26", NULL) != x, "the trap is none");
    size_t n = decimal_print_float(text, x);
    CHECK(decimal_parse(text, n, &back) && (float)back == x, "%s reads back as another float through a double", text);
    CHECK(strtof(text, NULL) == x, "%s reads back as another float", text);
}

/* The exact decimal of the midpoint above a double, by snprintf of a libc that prints every digit; and the same
 * with something added or taken away behind its last digit. */
static void test_halfway(void) {
    static char text[1500], half[1500];
    char probe[64];
    snprintf(probe, sizeof probe, "%.25f", 0.1);
    if (strcmp(probe, "0.1000000000000000055511151")) {
        SKIP("halfway cases: this libc does not print exactly");
        return;
    }
    uint64_t tried = 0;
    for (uint64_t i = 0, n = 1500 * times(); i < n; i++) {
        uint64_t bits = random_bits(i) >> (i % 4 == 0 ? 11 : 1); /* every fourth is tiny */
        double x = double_of(bits), above = double_of(bits + 1), even = bits % 2 ? above : x, got = 0;
        if (bits >> 52 >= 2046 || x / 2 * 2 != x || above / 2 * 2 != above) continue;
        /* the midpoint is x/2 + above/2, both exact; they are added in decimal */
        int n1 = snprintf(text, sizeof text, "%.1100f", x / 2), carry = 0;
        snprintf(half, sizeof half, "%.1100f", above / 2);
        for (int k = n1 - 1; k >= 0; k--) {
            if (text[k] == '.') continue;
            int digit = text[k] - '0' + (half[k] - '0') + carry;
            carry = digit / 10, text[k] = (char)('0' + digit % 10);
        }
        if (carry || strlen(half) != (size_t)n1) continue; /* one digit more: left out */
        tried++;
        CHECK(decimal_parse(text, (size_t)n1, &got) && bits_of(got) == bits_of(even), "%a and a half gave %a", x, got);
        text[n1] = '1', text[n1 + 1] = 0; /* a little above */
        CHECK(decimal_parse(text, (size_t)n1 + 1, &got) && bits_of(got) == bits_of(above), "above %a and a half: %a", x, got);
        int last = n1 - 1;
        while (text[last] == '0') last--;
        if (text[last] == '.') last--;
        if (text[last] == '0') continue;
        text[last]--; /* a little below */
        CHECK(decimal_parse(text, (size_t)n1, &got) && bits_of(got) == bits_of(x), "below %a and a half: %a", x, got);
    }
    CHECK(tried > 800, "only %d midpoints", (int)tried);
}

/* More digits than are kept: only whether the rest is zero may matter. */
static void test_many_digits(void) {
    static char text[3000];
    double got = 0;
    /* 2^53 + 1 is a midpoint; behind it come 2000 zeros, and then a 1 or none */
    int n = snprintf(text, sizeof text, "9007199254740993.%02000d", 0);
    CHECK(decimal_parse(text, (size_t)n, &got) && bits_of(got) == bits_of(9007199254740992.0), "to even: %a", got);
    text[n] = '1';
    CHECK(decimal_parse(text, (size_t)n + 1, &got) && bits_of(got) == bits_of(9007199254740994.0), "up: %a", got);
    memset(text, '0', sizeof text); /* 0.000…1 */
    text[1] = '.', text[2990] = '1';
    memcpy(text + 2991, "e2989", 6);
    CHECK(decimal_parse(text, 2996, &got) && bits_of(got) == bits_of(1), "one, far to the right: %a", got);
    memset(text, '9', 2990);
    memcpy(text + 2990, "e-2990", 7);
    CHECK(decimal_parse(text, 2996, &got) && bits_of(got) == bits_of(1), "nines: %a", got);
    for (uint64_t i = 0; i < 3000; i++) {
        size_t len = 1 + random_bits(i) % 60;
        for (size_t k = 0; k < len; k++) text[k] = (char)('0' + random_bits(i * 64 + k) % 10);
        if (len > 3) text[random_bits(i + 1) % len] = '.';
        snprintf(text + len, 20, "e%d", (int)(random_bits(i + 2) % 700) - 350);
        check_parse(text);
    }
}

TESTS({"known numbers", test_known}, {"refused texts", test_refused}, {"all exponents", test_all_exponents},
      {"powers of two", test_powers_of_two}, {"random doubles", test_random_doubles}, {"random floats", test_random_floats},
      {"a float through a double", test_float_through_double}, {"halfway", test_halfway}, {"many digits", test_many_digits})
