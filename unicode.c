#include "unicode.h"

typedef struct {
    uint32_t first, last;
    int kind; /* CharClass, or the width */
} CharRange;

#include "unicode_data.h"
#include "width_data.h"

size_t utf8_next(const unsigned char *s, size_t n, uint32_t *c) {
    unsigned a = s[0];
    if (a < 0x80) return *c = a, 1;
    *c = CHAR_INVALID;
    size_t length = a < 0xC2 ? 0 : a < 0xE0 ? 2 : a < 0xF0 ? 3 : a < 0xF5 ? 4 : 0;
    if (!length || length > n) return 1;
    /* The second byte's range keeps out overlong forms (E0, F0), surrogates (ED) and values beyond U+10FFFF (F4). */
    unsigned least = a == 0xE0 ? 0xA0 : a == 0xF0 ? 0x90 : 0x80, most = a == 0xED ? 0x9F : a == 0xF4 ? 0x8F : 0xBF;
    if (s[1] < least || s[1] > most) return 1;
    uint32_t value = (a & (0x7Fu >> length)) << 6 | (s[1] & 0x3Fu);
    for (size_t i = 2; i < length; i++) {
        if ((s[i] & 0xC0) != 0x80) return 1;
        value = value << 6 | (s[i] & 0x3Fu);
    }
    return *c = value, length;
}

size_t utf8_put(unsigned char *s, uint32_t c) {
    if (c < 0x80) return s[0] = (unsigned char)c, 1;
    size_t length = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = length; i-- > 1; c >>= 6) s[i] = (unsigned char)(0x80 | (c & 0x3F));
    s[0] = (unsigned char)((0xF00u >> length & 0xFF) | c);
    return length;
}

bool utf8_valid(const unsigned char *s, size_t n) {
    uint32_t c;
    for (size_t i = 0; i < n;) {
        i += utf8_next(s + i, n - i, &c);
        if (c == CHAR_INVALID) return false;
    }
    return true;
}

/* What a table says of c; `other` when it stands in none of the ranges. */
static int kind_of(const CharRange *ranges, size_t count, uint32_t c, int other) {
    size_t low = 0, high = count; /* the first range that ends at c or later */
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (ranges[middle].last < c) low = middle + 1;
        else high = middle;
    }
    return low < count && ranges[low].first <= c ? ranges[low].kind : other;
}

CharClass char_class(uint32_t c) {
    if (c < 0x80) {
        if ((c | 0x20) - 'a' < 26) return CHAR_LETTER;
        if (c - '0' < 10) return CHAR_NUMBER;
        return c == ' ' || c - '\t' < 5 ? CHAR_SPACE : CHAR_OTHER;
    }
    return (CharClass)kind_of(char_ranges, sizeof char_ranges / sizeof *char_ranges, c, CHAR_OTHER);
}

int char_width(uint32_t c) { return c < 0x80 ? c >= 0x20 && c != 0x7F : kind_of(width_ranges, sizeof width_ranges / sizeof *width_ranges, c, 1); }

CharClass class_next(const unsigned char *s, size_t n, size_t *length) {
    uint32_t c;
    *length = utf8_next(s, n, &c);
    return char_class(c);
}

void text_trim(const char **text, size_t *n) {
    const unsigned char *s = (const unsigned char *)*text;
    size_t length, start = 0, end = *n;
    while (start < end && (class_next(s + start, end - start, &length) == CHAR_SPACE || (s[start] >= 0x1C && s[start] <= 0x1F)))
        start += s[start] < 0x20 ? 1 : length;
    while (end > start) {
        size_t at = end - 1;
        while (at > start && (s[at] & 0xC0) == 0x80) at--;
        if (class_next(s + at, end - at, &length) != CHAR_SPACE && !(s[at] >= 0x1C && s[at] <= 0x1F)) break;
        end = at;
    }
    *text += start, *n = end - start;
}
