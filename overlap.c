#include "overlap.h"

#include "unicode.h"

#include <string.h>

/* ---- the normal form ---- */

/* Lower case of the alphabets whose capitals lie at a fixed distance; others stay. */
static uint32_t lower(uint32_t c) {
    bool capital =
        (c >= 'A' && c <= 'Z') || (c >= 0xC0 && c <= 0xDE && c != 0xD7) || (c >= 0x391 && c <= 0x3A9) || (c >= 0x410 && c <= 0x42F);
    return capital ? c + 32 : c >= 0x400 && c <= 0x40F ? c + 80 : c;
}

void text_normal(const char *text, size_t n, Buf *out) {
    const unsigned char *s = (const unsigned char *)text;
    bool space = false;
    out->len = 0;
    buf_str(out, "");
    for (size_t at = 0; at < n;) {
        uint32_t c;
        unsigned char bytes[4];
        size_t length = utf8_next(s + at, n - at, &c);
        CharClass class = char_class(c);
        bool mark = c >= 0x300 && class == CHAR_OTHER && !(c >= 0x2000 && c < 0x3100) &&
                    c < 0xFE00; /* vowel signs and accents belong to their words */
        if (class == CHAR_SPACE) space = out->len > 0;
        else if (class != CHAR_OTHER || mark) {
            if (space) buf_char(out, ' ');
            space = false;
            if (c == CHAR_INVALID) buf_put(out, s + at, length);
            else buf_put(out, bytes, utf8_put(bytes, lower(c)));
        }
        at += length;
    }
    if (!out->len) buf_put(out, text, n);
}

/* FNV-1a, and a finish that spreads the last bytes over all bits. */
uint64_t bytes_key(const void *bytes, size_t n) {
    const unsigned char *s = bytes;
    uint64_t h = 0xCBF29CE484222325u;
    for (size_t i = 0; i < n; i++) h = (h ^ s[i]) * 0x100000001B3u;
    h = (h ^ h >> 32) * 0xD6E8FEB86659FD93u;
    return h ^ h >> 32;
}

/* ---- n-grams ---- */

static size_t find_place(const NgramSet *s, uint64_t key) {
    size_t i = (size_t)key & (s->size - 1);
    while (s->keys[i] && s->keys[i] != key) i = (i + 1) & (s->size - 1);
    return i;
}

static void grow(NgramSet *s) {
    NgramSet old = *s;
    s->size = old.size ? 2 * old.size : 1024;
    s->keys = mem_new(s->size, sizeof *s->keys);
    s->owners = mem_new(s->size, sizeof *s->owners);
    for (size_t i = 0; i < old.size; i++) {
        if (!old.keys[i]) continue;
        size_t at = find_place(s, old.keys[i]);
        s->keys[at] = old.keys[i], s->owners[at] = old.owners[i];
    }
    mem_free(old.keys), mem_free(old.owners);
}

/* Goes from n-gram to n-gram. start = end = 0 before the first. */
typedef struct {
    const char *s;
    size_t n, start, end;
} Grams;

static size_t word_end(const Grams *g, size_t at) {
    while (at < g->n && g->s[at] != ' ') at++;
    return at;
}

static bool next_gram(Grams *g, size_t words, size_t least, uint64_t *key) {
    if (!g->end) {
        size_t count = 0;
        for (; count < words && g->end < g->n; count++) g->end = word_end(g, g->end + (count > 0));
        if (!count || count < (least < words ? least : words)) return false;
    } else {
        if (g->end >= g->n) return false;
        g->start = word_end(g, g->start) + 1;
        g->end = word_end(g, g->end + 1);
    }
    *key = bytes_key(g->s + g->start, g->end - g->start);
    if (!*key) *key = 1; /* 0 marks a free place */
    return true;
}

void ngrams_add(NgramSet *s, const Buf *normal, size_t words, size_t least, uint32_t owner) {
    Grams g = {.s = normal->data, .n = normal->len};
    uint64_t key;
    while (next_gram(&g, words, least, &key)) {
        if (2 * s->count >= s->size) grow(s);
        size_t at = find_place(s, key);
        if (s->keys[at]) continue;
        s->keys[at] = key, s->owners[at] = owner, s->count++;
    }
}

bool ngrams_mark(const NgramSet *s, const Buf *normal, size_t words, size_t least, bool *owners) {
    Grams g = {.s = normal->data, .n = normal->len};
    uint64_t key;
    bool any = false;
    while (s->count && next_gram(&g, words, least, &key)) {
        size_t at = find_place(s, key);
        if (!s->keys[at]) continue;
        any = owners[s->owners[at]] = true;
    }
    return any;
}

void ngrams_free(NgramSet *s) {
    mem_free(s->keys), mem_free(s->owners);
    *s = (NgramSet){0};
}
