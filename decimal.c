/* Both directions are exact: whole numbers of as many bits as it takes, no rounding before the last step.
 *
 * Reading finds the quotient of two big integers to 53 bits and looks at the remainder. Printing produces the
 * digits one at a time and stops at the first that says enough (Steele & White 1990, "How to print
 * floating-point numbers accurately"). */
#include "decimal.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

/* ---- big integers: limb[0] is the lowest, no zero limb on top ---- */

enum { LIMBS = 200 }; /* 6400 bits; the longest below is 10^1200, shifted by at most 1200 bits */

typedef struct {
    int n;
    uint32_t limb[LIMBS];
} Big;

static Big big_from(uint64_t x) {
    Big b;
    b.n = x >> 32 ? 2 : x ? 1 : 0;
    b.limb[0] = (uint32_t)x;
    b.limb[1] = (uint32_t)(x >> 32);
    return b;
}

/* b = b * factor + plus */
static void big_multiply(Big *b, uint32_t factor, uint32_t plus) {
    uint64_t carry = plus;
    for (int i = 0; i < b->n; i++) {
        carry += (uint64_t)b->limb[i] * factor;
        b->limb[i] = (uint32_t)carry;
        carry >>= 32;
    }
    assert(b->n < LIMBS);
    if (carry) b->limb[b->n++] = (uint32_t)carry;
}

static void big_times_power_of_10(Big *b, int power) {
    for (; power >= 9; power -= 9) big_multiply(b, 1000000000, 0);
    for (; power > 0; power--) big_multiply(b, 10, 0);
}

static void big_shift(Big *b, int bits) {
    int whole = bits / 32, part = bits % 32;
    if (b->n == 0 || bits == 0) return;
    assert(b->n + whole + 1 <= LIMBS);
    b->limb[b->n] = 0;
    for (int i = b->n; i >= 0; i--) {
        uint64_t pair = (uint64_t)b->limb[i] << 32 | (i ? b->limb[i - 1] : 0);
        b->limb[i + whole] = (uint32_t)(pair << part >> 32);
    }
    memset(b->limb, 0, (size_t)whole * sizeof *b->limb);
    b->n += whole + 1;
    if (b->limb[b->n - 1] == 0) b->n--;
}

static int big_bits(const Big *b) {
    int bits = 32 * b->n;
    if (b->n)
        for (uint32_t top = b->limb[b->n - 1]; !(top >> 31); top <<= 1) bits--;
    return bits;
}

static int big_compare(const Big *a, const Big *b) {
    if (a->n != b->n) return a->n < b->n ? -1 : 1;
    for (int i = a->n; i-- > 0;)
        if (a->limb[i] != b->limb[i]) return a->limb[i] < b->limb[i] ? -1 : 1;
    return 0;
}

/* a -= b, where a >= b */
static void big_subtract(Big *a, const Big *b) {
    uint64_t borrow = 0;
    for (int i = 0; i < a->n; i++) {
        uint64_t take = (i < b->n ? b->limb[i] : 0) + borrow;
        borrow = a->limb[i] < take;
        a->limb[i] = (uint32_t)(a->limb[i] - take);
    }
    while (a->n && a->limb[a->n - 1] == 0) a->n--;
}

static int big_compare_sum(const Big *a, const Big *b, const Big *c) {
    Big sum = *a;
    uint64_t carry = 0;
    for (int i = 0; i < b->n || carry || i < sum.n; i++) {
        if (i >= sum.n) sum.limb[sum.n++] = 0;
        carry += (uint64_t)sum.limb[i] + (i < b->n ? b->limb[i] : 0);
        sum.limb[i] = (uint32_t)carry;
        carry >>= 32;
    }
    return big_compare(&sum, c);
}

/* ---- reading ---- */

/* The midpoint of two neighbouring doubles has at most 767 digits. So beyond the 800th it matters only whether
 * all further digits are zero: a 1 stands for them if not. */
enum { DIGITS = 800 };

typedef struct {
    int count;     /* of significant digits: the first and the last are not 0 */
    int exponent;  /* the value is the digits, read as a whole number, times 10^exponent */
    bool negative;
    unsigned char digit[DIGITS + 1];
} Decimal;

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static bool read_digits(const char *text, size_t len, Decimal *d) {
    size_t i = 0, digits = 0;
    int64_t exponent = 0;
    bool point = false, dropped = false;
    d->count = 0;
    d->negative = i < len && text[i] == '-';
    if (i < len && (text[i] == '-' || text[i] == '+')) i++;
    for (; i < len && (is_digit(text[i]) || (text[i] == '.' && !point)); i++) {
        if (text[i] == '.') {
            point = true;
            continue;
        }
        digits++;
        exponent -= point;
        if (d->count == 0 && text[i] == '0') continue;
        if (d->count < DIGITS) d->digit[d->count++] = (unsigned char)(text[i] - '0');
        else exponent++, dropped |= text[i] != '0';
    }
    if (digits == 0) return false;
    if (i < len && (text[i] == 'e' || text[i] == 'E')) {
        int64_t power = 0;
        bool minus = ++i < len && text[i] == '-';
        if (i < len && (text[i] == '-' || text[i] == '+')) i++;
        if (i == len) return false;
        for (; i < len && is_digit(text[i]); i++)
            if (power < (int64_t)1 << 48) power = 10 * power + (text[i] - '0');
        exponent += minus ? -power : power;
    }
    if (i != len) return false;
    if (dropped) d->digit[d->count++] = 1, exponent--;
    while (d->count && d->digit[d->count - 1] == 0) d->count--, exponent++;
    /* far outside every double, but still an int after additions */
    d->exponent = (int)(exponent > 100000 ? 100000 : exponent < -100000 ? -100000 : exponent);
    return true;
}

static double from_bits(uint64_t bits) {
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* numerator / denominator, rounded to 53 bits (fewer where doubles have fewer), as the bits of a double. */
static uint64_t round_quotient(Big *numerator, Big *denominator) {
    /* top: 2^top <= quotient < 2^(top+1) */
    int top = big_bits(numerator) - big_bits(denominator);
    Big scaled = top < 0 ? *numerator : *denominator;
    big_shift(&scaled, top < 0 ? -top : top);
    if ((top < 0 ? big_compare(&scaled, denominator) : big_compare(numerator, &scaled)) < 0) top--;
    int unit = top - 52 < -1074 ? -1074 : top - 52; /* the last bit kept is worth 2^unit */
    if (unit > 0) big_shift(denominator, unit);
    else big_shift(numerator, -unit);

    uint64_t q = 0;
    big_shift(denominator, 52);
    for (int i = 0; i < 53; i++) {
        q <<= 1;
        if (big_compare(numerator, denominator) >= 0) big_subtract(numerator, denominator), q |= 1;
        big_shift(numerator, 1);
    }
    int half = big_compare(numerator, denominator); /* twice the remainder against one unit */
    if (half > 0 || (half == 0 && q & 1)) q++;
    /* The leading 1 of a normal q adds the missing one to the exponent field; so does a carry out of rounding. */
    return ((uint64_t)(unit + 1074) << 52) + q;
}

bool decimal_parse(const char *text, size_t len, double *value) {
    static const double power[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                   1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    Decimal d;
    if (!read_digits(text, len, &d)) return false;
    double size = 0;
    if (d.count == 0 || d.count + d.exponent < -330) {
        size = 0; /* below half of the smallest double */
    } else if (d.count + d.exponent > 310) {
        return false;
    } else if (d.count <= 15 && d.exponent >= -22 && d.exponent <= 22) {
        /* both numbers are exact doubles, so one operation rounds once */
        int64_t whole = 0;
        for (int i = 0; i < d.count; i++) whole = 10 * whole + d.digit[i];
        size = d.exponent < 0 ? (double)whole / power[-d.exponent] : (double)whole * power[d.exponent];
    } else {
        Big numerator = big_from(0), denominator = big_from(1);
        for (int i = 0; i < d.count; i++) big_multiply(&numerator, 10, d.digit[i]);
        big_times_power_of_10(d.exponent < 0 ? &denominator : &numerator, d.exponent < 0 ? -d.exponent : d.exponent);
        uint64_t bits = round_quotient(&numerator, &denominator);
        if (bits >> 52 >= 2047) return false;
        size = from_bits(bits);
    }
    *value = d.negative ? -size : size;
    return true;
}

/* ---- printing ---- */

/* The digits of the shortest decimal between the midpoints to the two neighbours, nearest to the value.
 *
 *     value = mantissa * 2^exponent = 0.d1 d2 d3 … * 10^point
 *
 * r/s is what is left of the value, in units of the next digit's place; below/s and above/s are the distances
 * to the two midpoints. One digit is enough once cutting it off here, or adding one to it, stays between them;
 * a midpoint itself reads back as the even neighbour.
 * narrow: see decimal_print_float. */
static int shortest_digits(unsigned char digit[20], int *point, uint64_t mantissa, int exponent, bool closer_below, bool narrow) {
    bool even = mantissa % 2 == 0;
    /* one step between neighbours is 2^32 here: room for its quarter, and for the narrowing */
    uint64_t half = ((uint64_t)1 << 31) - (narrow && !even ? 4 : 0);
    Big r = big_from(mantissa), s = big_from(1), above = big_from(half), below = big_from(closer_below ? half / 2 : half);
    int top = big_bits(&r) - 1 + exponent;
    big_shift(&r, 32);
    big_shift(&s, 32);
    big_shift(&s, exponent < 0 ? -exponent : 0);
    big_shift(&r, exponent > 0 ? exponent : 0);
    big_shift(&above, exponent > 0 ? exponent : 0);
    big_shift(&below, exponent > 0 ? exponent : 0);
    /* floor(top * log10(2)) + 1: right, or one too small */
    int p = (int)((top * 78913LL + (1000LL << 18)) >> 18) - 1000 + 1;
    big_times_power_of_10(&s, p);
    big_times_power_of_10(&r, -p);
    big_times_power_of_10(&above, -p);
    big_times_power_of_10(&below, -p);
    if (big_compare_sum(&r, &above, &s) >= (even ? 0 : 1)) big_multiply(&s, 10, 0), p++;
    *point = p;

    for (int count = 0;;) {
        unsigned char d = 0;
        big_multiply(&r, 10, 0), big_multiply(&above, 10, 0), big_multiply(&below, 10, 0);
        while (big_compare(&r, &s) >= 0) big_subtract(&r, &s), d++;
        int low = big_compare(&r, &below), high = big_compare_sum(&r, &above, &s);
        bool may_cut = even ? low <= 0 : low < 0, may_add = even ? high >= 0 : high > 0;
        if (may_cut && may_add) {
            int nearer = big_compare_sum(&r, &r, &s);
            may_add = nearer > 0 || (nearer == 0 && d % 2 == 1);
        }
        digit[count++] = (unsigned char)(d + may_add);
        assert(digit[count - 1] <= 9 && count <= 17);
        if (may_cut || may_add) return count;
    }
}

static size_t lay_out(char *text, bool negative, const unsigned char *digit, int count, int point) {
    char *at = text;
    if (negative) *at++ = '-';
    if (point > 15 || point < -3) { /* d.ddd e(point-1) */
        int power = point - 1;
        *at++ = (char)('0' + digit[0]);
        if (count > 1) *at++ = '.';
        for (int i = 1; i < count; i++) *at++ = (char)('0' + digit[i]);
        *at++ = 'e';
        if (power < 0) *at++ = '-', power = -power;
        if (power >= 100) *at++ = (char)('0' + power / 100);
        if (power >= 10) *at++ = (char)('0' + power / 10 % 10);
        *at++ = (char)('0' + power % 10);
    } else {
        int first = point < 1 ? point - 1 : 0, end = count > point ? count : point; /* 0.00ddd begins left of its digits */
        for (int i = first; i < end; i++) {
            if (i == point) *at++ = '.';
            *at++ = (char)('0' + (i >= 0 && i < count ? digit[i] : 0));
        }
    }
    *at = 0;
    return (size_t)(at - text);
}

static size_t print(char *text, bool negative, uint64_t fraction, int field, int fraction_bits, int bias, bool narrow) {
    unsigned char digit[20] = {0};
    int count = 1, point = 1, largest = fraction_bits == 52 ? 2047 : 255;
    if (field == largest) {
        strcpy(text, fraction ? "nan" : negative ? "-inf" : "inf");
        return strlen(text);
    }
    if (field || fraction) {
        uint64_t mantissa = field ? fraction | (uint64_t)1 << fraction_bits : fraction;
        int exponent = (field ? field : 1) - bias - fraction_bits;
        /* below a power of two the neighbours stand closer by half, but not where the exponent ends */
        count = shortest_digits(digit, &point, mantissa, exponent, fraction == 0 && field > 1, narrow);
    }
    return lay_out(text, negative, digit, count, point);
}

size_t decimal_print(char text[DECIMAL_MAX], double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return print(text, bits >> 63, bits & (((uint64_t)1 << 52) - 1), (int)(bits >> 52 & 2047), 52, 1023, false);
}

/* Most readers take a number for a double first and round that to a float. A decimal closer to a midpoint of
 * two floats than half a unit of a double (2^-30 of the floats' step) becomes that midpoint, and then the even
 * neighbour. So an odd float keeps that much clear of its midpoints and is read back right either way. */
size_t decimal_print_float(char text[DECIMAL_MAX], float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return print(text, bits >> 31, bits & 0x7fffff, (int)(bits >> 23 & 255), 23, 127, true);
}
