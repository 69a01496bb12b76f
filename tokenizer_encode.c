#include "tokenizer_parts.h"
#include "unicode.h"

#include <assert.h>
#include <string.h>

/* ---- one word: merging ----
 * The symbols of the word are a doubly linked list over an array; a join keeps the left symbol and unlinks the right one. Possible
 * joins wait in a heap, least rank first, then leftmost. An entry may have gone stale, because a neighbour was joined first: it is
 * dropped when the pair that now stands there does not give its result. Each join adds at most two entries, so a word of n symbols
 * takes O(n log n), whatever it looks like. */

typedef struct {
    int32_t id;                  /* NO_PIECE: joined away */
    uint32_t prev, next;         /* NOWHERE at the ends */
} Symbol;

typedef struct {
    uint32_t rank, at;
    int32_t id;
} Join;

#define NOWHERE UINT32_MAX
enum { LONGEST_WORD = 0x3FFFFFFF };

typedef struct {
    Symbol *symbols;
    Join *heap;
    size_t cap, waiting;
} Work;

static void work_room(Work *w, size_t symbols) {
    if (symbols <= w->cap) return;
    mem_free(w->symbols);
    mem_free(w->heap);
    w->cap = symbols < 64 ? 64 : symbols + symbols / 2;
    w->symbols = mem_new(w->cap, sizeof *w->symbols);
    w->heap = mem_new(2 * w->cap, sizeof *w->heap); /* n-1 at first; each of at most n-1 joins takes one out and puts two in */
}

static bool join_before(const Join *a, const Join *b) { return a->rank != b->rank ? a->rank < b->rank : a->at < b->at; }

static void heap_push(Work *w, Join join) {
    size_t i = w->waiting++;
    for (; i && join_before(&join, &w->heap[(i - 1) / 2]); i = (i - 1) / 2) w->heap[i] = w->heap[(i - 1) / 2];
    w->heap[i] = join;
}

static Join heap_pop(Work *w) {
    Join top = w->heap[0], last = w->heap[--w->waiting];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < w->waiting; i = child) {
        if (child + 1 < w->waiting && join_before(&w->heap[child + 1], &w->heap[child])) child++;
        if (!join_before(&w->heap[child], &last)) break;
        w->heap[i] = w->heap[child];
    }
    w->heap[i] = last;
    return top;
}

/* The join of the symbol at `at` with the next one, if there is a merge for them. */
static void propose(const Tokenizer *t, Work *w, uint32_t at) {
    uint32_t next = w->symbols[at].next;
    if (next == NOWHERE) return;
    const Merge *m = merge_find(t, w->symbols[at].id, w->symbols[next].id);
    if (m) heap_push(w, (Join){.rank = m->rank, .at = at, .id = m->id});
}

static void merge_symbols(const Tokenizer *t, Work *w, size_t n) {
    Symbol *s = w->symbols;
    w->waiting = 0;
    for (size_t i = 0; i < n; i++) {
        s[i].prev = i ? (uint32_t)(i - 1) : NOWHERE;
        s[i].next = i + 1 < n ? (uint32_t)(i + 1) : NOWHERE;
    }
    for (size_t i = 0; i + 1 < n; i++) propose(t, w, (uint32_t)i);
    while (w->waiting) {
        Join join = heap_pop(w);
        Symbol *left = &s[join.at];
        if (left->id == NO_PIECE || left->next == NOWHERE) continue;
        Symbol *right = &s[left->next];
        const Merge *m = merge_find(t, left->id, right->id);
        if (!m || m->id != join.id) continue;
        left->id = m->id;
        left->next = right->next;
        right->id = NO_PIECE;
        if (left->next != NOWHERE) s[left->next].prev = join.at;
        if (left->prev != NOWHERE) propose(t, w, left->prev);
        propose(t, w, join.at);
    }
}

/* ---- one word: symbols and ids ---- */

/* A character (or byte) that is no symbol: its bytes, or the unknown token, or nothing where there is none: SmolLM2's vocabulary has no piece for
 * the byte F1, and transformers leaves it out. Returns how many ids it put. */
static size_t fall_back(const Tokenizer *t, const unsigned char *s, size_t n, Symbol *to) {
    bool bytes = t->byte_fallback;
    for (size_t i = 0; i < n && bytes; i++) bytes = t->byte_ids[s[i]] != NO_PIECE;
    if (!bytes && t->unk == NO_PIECE) return 0;
    for (size_t i = 0; i < n && bytes; i++) to[i].id = t->byte_ids[s[i]];
    if (!bytes) to->id = t->unk;
    return bytes ? n : 1;
}

/* The symbols a word begins as; there is room for one for each byte. */
static size_t first_symbols(const Tokenizer *t, const unsigned char *s, size_t n, Symbol *symbols) {
    size_t count = 0, length;
    for (size_t i = 0; i < n; i += length) {
        uint32_t c;
        int32_t id;
        if (t->kind == KIND_BYTE_LEVEL) id = t->byte_ids[s[i]], length = 1;
        else {
            length = utf8_next(s + i, n - i, &c);
            id = c == CHAR_INVALID ? NO_PIECE : piece_find(t, (const char *)s + i, length);
            if (id != NO_PIECE && !t->pieces[id].symbol) id = NO_PIECE;
        }
        if (id != NO_PIECE) symbols[count++].id = id;
        else count += fall_back(t, s + i, length, symbols + count);
    }
    return count;
}

static void put_ids(const Tokenizer *t, const Symbol *symbols, size_t n, Ids *ids) {
    bool unknown_before = false;
    for (size_t i = 0; i < n; i++) {
        int32_t id = symbols[i].id;
        if (id == NO_PIECE) continue;
        if ((size_t)id >= t->count) { /* a hidden character that no merge took up */
            Symbol bytes[4];
            size_t k = fall_back(t, (const unsigned char *)piece_text(t, id), t->pieces[id].text_len, bytes);
            if (k == 1 && bytes[0].id == t->unk) id = t->unk;
            else {
                for (size_t j = 0; j < k; j++) ids_push(ids, bytes[j].id);
                unknown_before = false;
                continue;
            }
        }
        bool unknown = id == t->unk && id != NO_PIECE;
        if (!(unknown && unknown_before && t->fuse_unk)) ids_push(ids, id);
        unknown_before = unknown;
    }
}

/* A word that is a piece as it stands. */
static int32_t whole_piece(const Tokenizer *t, const unsigned char *s, size_t n) {
    if (t->kind == KIND_METASPACE) return piece_find(t, (const char *)s, n);
    unsigned char text[512]; /* a character of the byte alphabet takes two bytes at most */
    size_t at = 0;
    if (2 * n > sizeof text) return NO_PIECE;
    for (size_t i = 0; i < n; i++) at += utf8_put(text + at, byte_char(s[i]));
    return piece_find(t, (const char *)text, at);
}

static void encode_long(const Tokenizer *t, Work *w, const unsigned char *s, size_t n, Ids *ids) {
    if (n > LONGEST_WORD) bad_input("a word of %zu bytes without a place to cut it: at most %d are possible; break the text into lines", n, LONGEST_WORD);
    if (t->ignore_merges) {
        int32_t id = whole_piece(t, s, n);
        if (id != NO_PIECE && t->pieces[id].symbol) {
            ids_push(ids, id);
            return;
        }
    }
    work_room(w, n);
    size_t count = first_symbols(t, s, n, w->symbols);
    merge_symbols(t, w, count);
    put_ids(t, w->symbols, count, ids);
}

/* Most words have been met before: short ones are remembered with their ids. */
static void encode_word(Tokenizer *t, Work *w, const unsigned char *s, size_t n, Ids *ids) {
    if (n > CACHE_KEY) {
        encode_long(t, w, s, n, ids);
        return;
    }
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < n; i++) hash = (hash ^ s[i]) * 16777619u;
    CacheLine *line = &t->cache[(hash ^ hash >> 15) & (CACHE_LINES - 1)];
    if (line->length == n && line->hash == hash && !memcmp(line->key, s, n)) {
        for (size_t i = 0; i < line->count; i++) ids_push(ids, line->ids[i]);
        return;
    }
    size_t before = ids->count;
    encode_long(t, w, s, n, ids);
    size_t count = ids->count - before;
    if (count > CACHE_IDS) return;
    line->hash = hash;
    line->length = (unsigned char)n;
    line->count = (unsigned char)count;
    memcpy(line->key, s, n);
    if (count) memcpy(line->ids, ids->data + before, count * sizeof *line->ids);
}

/* ---- words of a stretch of text ---- */

static void encode_byte_level(Tokenizer *t, Work *w, const unsigned char *s, size_t n, Ids *ids) {
    Buf spaced = {0};
    if (t->prefix_space && s[0] != ' ') {
        buf_char(&spaced, ' ');
        buf_put(&spaced, s, n);
        s = (unsigned char *)spaced.data, n++;
    }
    const unsigned char *word;
    size_t length;
    Pretokens p = pretokens(t->split, t->each_digit, s, n);
    while (pretoken_next(&p, &word, &length)) encode_word(t, w, word, length, ids);
    buf_free(&spaced);
}

static bool is_mark(const unsigned char *s, size_t n) { return n >= MARK_LEN && !memcmp(s, MARK, MARK_LEN); }

static void put_marks(const unsigned char *s, size_t n, Buf *out) {
    for (size_t i = 0; i < n; i++) {
        if (s[i] == ' ') buf_str(out, MARK);
        else buf_char(out, (char)s[i]);
    }
}

void metaspace_normalize(const Tokenizer *t, const unsigned char *s, size_t n, Buf *out) {
    size_t i = 0, start = out->len;
    while (t->squeeze && i < n && s[i] == ' ') i++;
    if (t->prepend) buf_str(out, MARK); /* of spaces alone nothing stays: the last line takes this one, too */
    bool space_before = false;
    while (i < n) {
        const Added *user = added_match(&t->user, s + i, n - i);
        size_t length = user ? user->len : 1;
        if (!(t->squeeze && space_before && s[i] == ' ' && !user)) {
            if (t->replace) put_marks(s + i, length, out);
            else buf_put(out, s + i, length);
        }
        i += length;
        space_before = s[i - 1] == ' ';
    }
    while (t->squeeze && out->len >= start + MARK_LEN && !memcmp(out->data + out->len - MARK_LEN, MARK, MARK_LEN)) out->len -= MARK_LEN;
}

/* s is normalised; first: it begins the text. */
static void encode_metaspace(Tokenizer *t, Work *w, const unsigned char *s, size_t n, bool first, Ids *ids) {
    Buf marked = {0};
    if (t->metaspace) {
        bool front = t->front == FRONT_ALWAYS || (t->front == FRONT_FIRST && first);
        if (front && s[0] != ' ' && !is_mark(s, n)) buf_str(&marked, MARK);
        put_marks(s, n, &marked);
        s = (unsigned char *)marked.data, n = marked.len;
    }
    size_t start = 0, i = 0;
    bool mark_before = true;
    while (i < n) {
        const Added *user = added_match(&t->user, s + i, n - i);
        bool mark = is_mark(s + i, n - i);
        if (i > start && (user || (mark && (t->cut == CUT_EACH || (t->cut == CUT_RUNS && !mark_before))))) {
            encode_word(t, w, s + start, i - start, ids);
            start = i;
        }
        mark_before = mark;
        if (user) {
            ids_push(ids, user->id);
            start = i += user->len;
        } else i += mark ? MARK_LEN : 1;
    }
    if (n > start) encode_word(t, w, s + start, n - start, ids);
    buf_free(&marked);
}

/* ---- added tokens ---- */

const Added *added_match(const AddedSet *set, const unsigned char *s, size_t n) {
    for (size_t i = set->first[s[0]], end = set->first[s[0] + 1]; i < end; i++)
        if (set->items[i].len <= n && !memcmp(set->items[i].match, s, set->items[i].len)) return &set->items[i];
    return NULL;
}

static size_t spaces_before(const unsigned char *s, size_t least, size_t end) {
    size_t length;
    while (end > least) {
        size_t at = end - 1;
        while (at > least && end - at < 4 && (s[at] & 0xC0) == 0x80) at--; /* to the first byte of the character */
        if (class_next(s + at, end - at, &length) != CHAR_SPACE || at + length != end) break;
        end = at;
    }
    return end;
}

static size_t spaces_after(const unsigned char *s, size_t at, size_t n) {
    size_t length;
    while (at < n && class_next(s + at, n - at, &length) == CHAR_SPACE) at += length;
    return at;
}

typedef struct {
    size_t at, end;              /* of the text before the token */
    const Added *token;          /* NULL: the text went to the end */
    size_t from;                 /* where the search goes on: behind the token, with the spaces it takes */
} Stretch;

/* The stretch of text from `at` on that has no added token in it, and the token that ends it. Of tokens that begin at one place the
 * longest is meant. A special token that is to be read as text is found all the same, and passed over: nothing else is found inside it. */
static Stretch next_stretch(const AddedSet *set, bool special, const unsigned char *s, size_t n, size_t at) {
    for (size_t i = at; i < n && set->count;) {
        const Added *token = added_match(set, s + i, n - i);
        if (token && (special || !token->special)) {
            size_t end = token->lstrip ? spaces_before(s, at, i) : i, from = i + token->len;
            return (Stretch){at, end, token, token->rstrip ? spaces_after(s, from, n) : from};
        }
        i += token ? token->len : 1;
    }
    return (Stretch){at, n, NULL, n};
}

static void encode_segment(Tokenizer *t, Work *w, const unsigned char *s, size_t n, bool first, bool special, Ids *ids) {
    Buf normal = {0};
    if (t->kind == KIND_METASPACE && (t->squeeze || t->prepend || t->replace)) {
        metaspace_normalize(t, s, n, &normal);
        s = (unsigned char *)normal.data, n = normal.len;
    } else if (t->nfc) {
        nfc(s, n, &normal);
        s = (unsigned char *)normal.data, n = normal.len;
    }
    for (size_t at = 0; at < n;) {
        Stretch x = next_stretch(&t->normalized, special, s, n, at);
        if (x.end > x.at && t->kind == KIND_BYTE_LEVEL) encode_byte_level(t, w, s + x.at, x.end - x.at, ids);
        else if (x.end > x.at) encode_metaspace(t, w, s + x.at, x.end - x.at, first && !x.at, ids);
        if (x.token) ids_push(ids, x.token->id);
        at = x.from;
    }
    buf_free(&normal);
}

static void encode(Tokenizer *t, const char *text, size_t len, bool begins, bool special, Ids *ids) {
    const unsigned char *s = (const unsigned char *)text;
    Work w = {0};
    for (size_t at = 0; at < len;) {
        Stretch x = next_stretch(&t->raw, special, s, len, at);
        if (x.end > x.at) encode_segment(t, &w, s + x.at, x.end - x.at, begins && !x.at, special, ids);
        if (x.token) ids_push(ids, x.token->id);
        at = x.from;
    }
    mem_free(w.symbols);
    mem_free(w.heap);
}

void tokenizer_encode(Tokenizer *t, const char *text, size_t len, bool special, Ids *ids) { encode(t, text, len, true, special, ids); }
void tokenizer_encode_on(Tokenizer *t, const char *text, size_t len, Ids *ids) { encode(t, text, len, false, false, ids); }
