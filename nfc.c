/* NFC: a letter and its marks as one character where there is one. Declared in unicode.h.
 *
 * Three steps (Unicode, chapter 3.11): every character is taken apart; marks behind a letter are sorted by their class, which is where they
 * sit; then a letter takes up the marks that it has a character with, if none of the same class stands between. Hangul syllables are
 * arithmetic. */
#include "unicode.h"

typedef struct {
    uint32_t c, first, second;            /* second 0: c is another name of first */
} Decomposition;
typedef struct {
    uint32_t first, last;
    unsigned char class;
} ClassRange;

#include "nfc_data.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
enum { L_BASE = 0x1100, V_BASE = 0x1161, T_BASE = 0x11A7, S_BASE = 0xAC00, L_COUNT = 19, V_COUNT = 21, T_COUNT = 28, S_COUNT = 11172 };
enum { FIRST_MARK = 0x300 };              /* below it nothing changes and nothing is a mark */

typedef struct {
    uint32_t c;                           /* a byte that is no UTF-8: CHAR_INVALID + 1 + the byte */
    uint32_t class;
} Character;

typedef struct {
    Character *items;
    size_t count, room;
} Characters;

static unsigned combining_class(uint32_t c) {
    size_t low = 0, high = COUNT(class_ranges);
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (class_ranges[middle].last < c) low = middle + 1;
        else high = middle;
    }
    return low < COUNT(class_ranges) && class_ranges[low].first <= c ? class_ranges[low].class : 0;
}

static const Decomposition *decomposition_of(uint32_t c) {
    size_t low = 0, high = COUNT(decompositions);
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (decompositions[middle].c < c) low = middle + 1;
        else high = middle;
    }
    return low < COUNT(decompositions) && decompositions[low].c == c ? &decompositions[low] : NULL;
}

static void put(Characters *out, uint32_t c) {
    if (out->count == out->room) {
        out->room = 2 * out->room + 64;
        out->items = mem_resize(out->items, out->room, sizeof *out->items);
    }
    out->items[out->count++] = (Character){c, combining_class(c)};
}

static void put_apart(Characters *out, uint32_t c) {
    if (c - S_BASE < S_COUNT) {
        uint32_t s = c - S_BASE;
        put(out, L_BASE + s / (V_COUNT * T_COUNT)), put(out, V_BASE + s % (V_COUNT * T_COUNT) / T_COUNT);
        if (s % T_COUNT) put(out, T_BASE + s % T_COUNT);
        return;
    }
    const Decomposition *d = decomposition_of(c);
    if (!d) {
        put(out, c);
        return;
    }
    put_apart(out, d->first); /* at most four deep */
    if (d->second) put_apart(out, d->second);
}

static int by_class(const void *a, const void *b, const void *context) {
    (void)context;
    return (int)((const Character *)a)->class - (int)((const Character *)b)->class;
}

/* Runs of marks, each stably by class. */
static void sort_marks(Characters *x) {
    for (size_t i = 0, end; i < x->count; i = end + 1) {
        for (end = i; end < x->count && x->items[end].class; end++) {}
        if (end - i > 1) sort_stable(x->items + i, end - i, sizeof *x->items, by_class, NULL);
    }
}

/* The character of this pair, or 0. */
static uint32_t pair(uint32_t a, uint32_t b) {
    if (a - L_BASE < L_COUNT && b - V_BASE < V_COUNT) return S_BASE + ((a - L_BASE) * V_COUNT + (b - V_BASE)) * T_COUNT;
    if (a - S_BASE < S_COUNT && (a - S_BASE) % T_COUNT == 0 && b - T_BASE - 1 < T_COUNT - 1) return a + (b - T_BASE);
    size_t low = 0, high = COUNT(pairs);
    while (low < high) {
        size_t middle = (low + high) / 2;
        const Decomposition *d = &decompositions[pairs[middle]];
        if (d->second < b || (d->second == b && d->first < a)) low = middle + 1;
        else high = middle;
    }
    const Decomposition *d = low < COUNT(pairs) ? &decompositions[pairs[low]] : NULL;
    return d && d->second == b && d->first == a ? d->c : 0;
}

static void compose(Characters *x) {
    size_t starter = 0, kept = 0;
    bool there = false;
    uint32_t before = 0;                  /* class of the character that stands last behind the starter; 0: none does */
    for (size_t i = 0; i < x->count; i++) {
        Character c = x->items[i];
        bool free = there && (before < c.class || (!before && kept == starter + 1));
        uint32_t both = free ? pair(x->items[starter].c, c.c) : 0;
        if (both) {
            x->items[starter] = (Character){both, combining_class(both)};
            continue;
        }
        if (!c.class) starter = kept, there = true, before = 0;
        else before = c.class;
        x->items[kept++] = c;
    }
    x->count = kept;
}

void nfc(const unsigned char *s, size_t n, Buf *out) {
    Characters x = {0};
    uint32_t c;
    bool plain = true;
    for (size_t i = 0; i < n && plain;) {
        i += utf8_next(s + i, n - i, &c);
        plain = c < FIRST_MARK || c == CHAR_INVALID;
    }
    if (plain) {
        buf_put(out, s, n);
        return;
    }
    for (size_t i = 0; i < n;) {
        size_t length = utf8_next(s + i, n - i, &c);
        if (c == CHAR_INVALID) put(&x, CHAR_INVALID + 1 + s[i]);
        else put_apart(&x, c);
        i += length;
    }
    sort_marks(&x), compose(&x);
    for (size_t i = 0; i < x.count; i++) {
        unsigned char bytes[4];
        if (x.items[i].c > CHAR_INVALID) buf_char(out, (char)(x.items[i].c - CHAR_INVALID - 1));
        else buf_put(out, bytes, utf8_put(bytes, x.items[i].c));
    }
    mem_free(x.items);
}
