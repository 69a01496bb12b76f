/* Training of byte-level BPE.
 *
 * The text is cut into words (the GPT-2 split) and equal words are counted once. Of all pairs of neighbouring tokens inside words the
 * most frequent is joined into a new token everywhere, and so on. Worked example, "aaabdaaabac" as one word seen once:
 *
 *     a a a b d a a a b a c      (a,a) occurs 4 times                              aa
 *     aa a b d aa a b a c        (aa,a) and (a,b) twice; "aa" > "a"                aaa
 *     aaa b d aaa b a c          (aaa,b) twice                                     aaab
 *     aaab d aaab a c            no pair twice: the end
 *
 * What makes it fast: a pair knows its places, so that a join touches only those, and the counts of the pairs beside them are
 * corrected in place. The best pair comes from a heap whose entries may be out of date: counts only fall between joins but for the
 * pairs a join creates, so an entry that promises too much is put back with its true count, and created pairs are put in anew. */
#include "tokenizer_parts.h"
#include "unicode.h"

#include <assert.h>
#include <string.h>

#define NOWHERE UINT32_MAX

typedef struct {
    size_t text;                 /* in the arena */
    uint32_t length;
    uint64_t hash, count;
} Word;

/* A place is one symbol of one word. The symbols of all words lie one behind the other; prev and next skip what was joined away. */
typedef struct {
    int32_t id;                  /* NO_PIECE: joined into the place before */
    uint32_t prev, next;         /* NOWHERE at the ends of the word */
    uint32_t word;
} Place;

/* The places of a pair (of its left token) are a list in order of time; some are out of date. */
typedef struct {
    uint32_t place, next;
} Node;

typedef struct {
    int32_t left, right;
    uint64_t count;
    uint32_t head, tail;
    bool raised;                 /* by the present join */
} Pair;

typedef struct {
    uint64_t count;
    uint32_t pair;
} Entry;

struct BpeTrainer {
    Buf arena;
    Word *words;
    size_t count, cap;
    uint32_t *table;             /* hash of a word -> its index + 1 */
    size_t table_size;

    Tokenizer *t;                /* from here on: while learning */
    Place *places;
    Node *nodes;
    size_t node_count, node_cap;
    Pair *pairs;
    size_t pair_count, pair_cap;
    uint32_t *pair_table;
    size_t pair_table_size;
    Entry *heap;
    size_t heap_count, heap_cap;
    uint32_t *raised;
    size_t raised_count, raised_cap;
};

/* ---- words ---- */

BpeTrainer *bpe_trainer_new(void) { return mem_new(1, sizeof(BpeTrainer)); }

static void grow_words(BpeTrainer *b) {
    if (b->count == b->cap) {
        b->cap = b->cap ? 2 * b->cap : 1024;
        b->words = mem_resize(b->words, b->cap, sizeof *b->words);
    }
    if (2 * (b->count + 1) <= b->table_size) return;
    mem_free(b->table);
    b->table_size = b->table_size ? 2 * b->table_size : 4096;
    b->table = mem_new(b->table_size, sizeof *b->table);
    for (size_t i = 0; i < b->count; i++) {
        size_t slot = b->words[i].hash & (b->table_size - 1);
        while (b->table[slot]) slot = (slot + 1) & (b->table_size - 1);
        b->table[slot] = (uint32_t)(i + 1);
    }
}

static void count_word(BpeTrainer *b, const unsigned char *s, size_t n) {
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < n; i++) hash = (hash ^ s[i]) * 1099511628211u;
    hash ^= hash >> 32;
    grow_words(b);
    size_t slot = hash & (b->table_size - 1);
    for (; b->table[slot]; slot = (slot + 1) & (b->table_size - 1)) {
        Word *w = &b->words[b->table[slot] - 1];
        if (w->hash == hash && w->length == n && !memcmp(b->arena.data + w->text, s, n)) {
            w->count++;
            return;
        }
    }
    if (b->arena.len + n >= NOWHERE) bad_input("training text: its different words have more than 4 GB together; train on a part of it");
    b->words[b->count] = (Word){.text = b->arena.len, .length = (uint32_t)n, .hash = hash, .count = 1};
    b->table[slot] = (uint32_t)++b->count;
    buf_put(&b->arena, s, n);
}

static void count_words(BpeTrainer *b, const unsigned char *s, size_t n) {
    const unsigned char *word;
    size_t length;
    Pretokens p = pretokens(SPLIT_GPT2, false, s, n);
    while (pretoken_next(&p, &word, &length)) count_word(b, word, length);
}

void bpe_trainer_add(BpeTrainer *b, const char *text, size_t len) {
    static const char end[] = END_OF_TEXT;
    const size_t end_len = sizeof end - 1;
    const unsigned char *s = (const unsigned char *)text;
    size_t start = 0;
    for (size_t at = 0; at < len;) {
        const unsigned char *bar = memchr(s + at, end[0], len - at);
        if (!bar) break;
        at = (size_t)(bar - s);
        if (len - at >= end_len && !memcmp(s + at, end, end_len)) {
            count_words(b, s + start, at - start);
            start = at += end_len;
        } else at++;
    }
    count_words(b, s + start, len - start);
}

/* ---- pairs ---- */

static size_t pair_slot(const BpeTrainer *b, int32_t left, int32_t right) {
    uint64_t h = ((uint64_t)(uint32_t)left << 32 | (uint32_t)right) * 0x9E3779B97F4A7C15u;
    size_t slot = (h ^ h >> 32) & (b->pair_table_size - 1);
    for (; b->pair_table[slot]; slot = (slot + 1) & (b->pair_table_size - 1)) {
        const Pair *p = &b->pairs[b->pair_table[slot] - 1];
        if (p->left == left && p->right == right) break;
    }
    return slot;
}

static void grow_pairs(BpeTrainer *b) {
    if (b->pair_count == b->pair_cap) {
        b->pair_cap = b->pair_cap ? 2 * b->pair_cap : 4096;
        b->pairs = mem_resize(b->pairs, b->pair_cap, sizeof *b->pairs);
    }
    if (2 * (b->pair_count + 1) <= b->pair_table_size) return;
    mem_free(b->pair_table);
    b->pair_table_size = b->pair_table_size ? 2 * b->pair_table_size : 16384;
    b->pair_table = mem_new(b->pair_table_size, sizeof *b->pair_table);
    for (size_t i = 0; i < b->pair_count; i++) b->pair_table[pair_slot(b, b->pairs[i].left, b->pairs[i].right)] = (uint32_t)(i + 1);
}

static uint32_t pair_of(BpeTrainer *b, int32_t left, int32_t right) {
    size_t slot = pair_slot(b, left, right);
    if (b->pair_table[slot]) return b->pair_table[slot] - 1;
    grow_pairs(b);
    slot = pair_slot(b, left, right);
    b->pairs[b->pair_count] = (Pair){.left = left, .right = right, .head = NOWHERE, .tail = NOWHERE};
    b->pair_table[slot] = (uint32_t)++b->pair_count;
    return (uint32_t)b->pair_count - 1;
}

/* The pair that begins at this place is there `count` times more. */
static void pair_found(BpeTrainer *b, uint32_t place) {
    const Place *p = &b->places[place];
    uint32_t index = pair_of(b, p->id, b->places[p->next].id);
    if (b->node_count == b->node_cap) {
        b->node_cap = b->node_cap ? 2 * b->node_cap : 4096;
        if (b->node_cap > NOWHERE) work_failed("training text: more than 4 billion places of pairs; train on a part of it");
        b->nodes = mem_resize(b->nodes, b->node_cap, sizeof *b->nodes);
    }
    uint32_t node = (uint32_t)b->node_count++;
    b->nodes[node] = (Node){.place = place, .next = NOWHERE};
    Pair *pair = &b->pairs[index];
    if (pair->head == NOWHERE) pair->head = node;
    else b->nodes[pair->tail].next = node;
    pair->tail = node;
    pair->count += b->words[p->word].count;
    if (pair->raised) return;
    pair->raised = true;
    if (b->raised_count == b->raised_cap) {
        b->raised_cap = b->raised_cap ? 2 * b->raised_cap : 1024;
        b->raised = mem_resize(b->raised, b->raised_cap, sizeof *b->raised);
    }
    b->raised[b->raised_count++] = index;
}

static void pair_lost(BpeTrainer *b, uint32_t place) {
    const Place *p = &b->places[place];
    b->pairs[pair_of(b, p->id, b->places[p->next].id)].count -= b->words[p->word].count;
}

/* ---- the heap of pairs ---- */

static int compare_bytes(const Tokenizer *t, int32_t x, int32_t y) {
    const Piece *a = &t->pieces[x], *c = &t->pieces[y];
    size_t n = a->bytes_len < c->bytes_len ? a->bytes_len : c->bytes_len;
    int order = memcmp(t->arena.data + a->bytes, t->arena.data + c->bytes, n);
    return order ? order : (a->bytes_len > c->bytes_len) - (a->bytes_len < c->bytes_len);
}

/* Whether a is merged before c: the greater count, then the greater left token, then the greater right one. */
static bool entry_before(const BpeTrainer *b, const Entry *a, const Entry *c) {
    if (a->count != c->count) return a->count > c->count;
    const Pair *p = &b->pairs[a->pair], *q = &b->pairs[c->pair];
    int order = compare_bytes(b->t, p->left, q->left);
    return order ? order > 0 : compare_bytes(b->t, p->right, q->right) > 0;
}

static void heap_push(BpeTrainer *b, Entry e) {
    if (b->heap_count == b->heap_cap) {
        b->heap_cap = b->heap_cap ? 2 * b->heap_cap : 4096;
        b->heap = mem_resize(b->heap, b->heap_cap, sizeof *b->heap);
    }
    size_t i = b->heap_count++;
    for (; i && entry_before(b, &e, &b->heap[(i - 1) / 2]); i = (i - 1) / 2) b->heap[i] = b->heap[(i - 1) / 2];
    b->heap[i] = e;
}

static Entry heap_pop(BpeTrainer *b) {
    Entry top = b->heap[0], last = b->heap[--b->heap_count];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < b->heap_count; i = child) {
        if (child + 1 < b->heap_count && entry_before(b, &b->heap[child + 1], &b->heap[child])) child++;
        if (!entry_before(b, &b->heap[child], &last)) break;
        b->heap[i] = b->heap[child];
    }
    b->heap[i] = last;
    return top;
}

static void push_raised(BpeTrainer *b) {
    for (size_t i = 0; i < b->raised_count; i++) {
        Pair *p = &b->pairs[b->raised[i]];
        p->raised = false;
        if (p->count > 1) heap_push(b, (Entry){.count = p->count, .pair = b->raised[i]});
    }
    b->raised_count = 0;
}

/* The most frequent pair, NOWHERE when none occurs twice. */
static uint32_t best_pair(BpeTrainer *b) {
    while (b->heap_count) {
        Entry e = heap_pop(b);
        uint64_t count = b->pairs[e.pair].count;
        if (count == e.count) return e.pair;
        if (count > 1 && count < e.count) heap_push(b, (Entry){.count = count, .pair = e.pair});
    }
    return NOWHERE;
}

/* ---- learning ---- */

static void lay_out(BpeTrainer *b) {
    b->places = mem_new(b->arena.len, sizeof *b->places);
    grow_pairs(b);
    for (size_t w = 0; w < b->count; w++) {
        size_t start = b->words[w].text, end = start + b->words[w].length;
        for (size_t i = start; i < end; i++)
            b->places[i] = (Place){.id = b->t->byte_ids[(unsigned char)b->arena.data[i]], .word = (uint32_t)w,
                                   .prev = i > start ? (uint32_t)(i - 1) : NOWHERE, .next = i + 1 < end ? (uint32_t)(i + 1) : NOWHERE};
        for (size_t i = start; i + 1 < end; i++) pair_found(b, (uint32_t)i);
    }
    push_raised(b);
}

/* The token that is left and right joined; a new one unless its text exists already. */
static int32_t joined_piece(Tokenizer *t, int32_t left, int32_t right) {
    Buf text = {0};
    buf_str(&text, piece_text(t, left));
    buf_str(&text, piece_text(t, right));
    int32_t id = piece_find(t, text.data, text.len);
    if (id == NO_PIECE) {
        id = (int32_t)t->count;
        piece_set(t, t->count++, text.data, text.len, PIECE_NORMAL, true);
        piece_index(t, id);
        Piece *p = &t->pieces[id];
        size_t n[2] = {t->pieces[left].bytes_len, t->pieces[right].bytes_len}, at[2] = {t->pieces[left].bytes, t->pieces[right].bytes};
        text.len = 0;
        for (int i = 0; i < 2; i++) buf_put(&text, t->arena.data + at[i], n[i]);
        p->bytes = t->arena.len;
        p->bytes_len = (uint32_t)text.len;
        buf_put(&t->arena, text.data, text.len);
    }
    buf_free(&text);
    return id;
}

static void join_everywhere(BpeTrainer *b, uint32_t index, int32_t id) {
    Pair pair = b->pairs[index];
    b->pairs[index].head = b->pairs[index].tail = NOWHERE;
    for (uint32_t node = pair.head; node != NOWHERE; node = b->nodes[node].next) {
        uint32_t at = b->nodes[node].place;
        Place *left = &b->places[at];
        if (left->id != pair.left || left->next == NOWHERE || b->places[left->next].id != pair.right) continue;
        Place *right = &b->places[left->next];
        if (left->prev != NOWHERE) pair_lost(b, left->prev);
        pair_lost(b, at);
        if (right->next != NOWHERE) pair_lost(b, left->next);
        left->id = id;
        left->next = right->next;
        right->id = NO_PIECE;
        if (left->next != NOWHERE) b->places[left->next].prev = at;
        if (left->prev != NOWHERE) pair_found(b, left->prev);
        if (left->next != NOWHERE) pair_found(b, at);
    }
    push_raised(b);
}

static void trainer_free(BpeTrainer *b) {
    buf_free(&b->arena);
    mem_free(b->words), mem_free(b->table), mem_free(b->places), mem_free(b->nodes);
    mem_free(b->pairs), mem_free(b->pair_table), mem_free(b->heap), mem_free(b->raised);
    mem_free(b);
}

/* <|endoftext|>, then the bytes. */
static Tokenizer *bare_tokenizer(size_t vocab_size) {
    Tokenizer *t = tokenizer_new(KIND_BYTE_LEVEL, "the trained tokenizer", vocab_size);
    unsigned char order[256], text[4];
    t->split = SPLIT_GPT2;
    piece_set(t, 0, END_OF_TEXT, strlen(END_OF_TEXT), PIECE_SPECIAL, true);
    t->bos = t->eos = 0;
    byte_order(order);
    for (size_t i = 0; i < 256; i++) piece_set(t, 1 + i, (char *)text, utf8_put(text, byte_char(order[i])), PIECE_NORMAL, true);
    t->count = 257;
    t->raw.items = mem_new(1, sizeof(Added));
    t->raw.items[t->raw.count++] = (Added){.id = 0, .match = str_copy(END_OF_TEXT), .len = strlen(END_OF_TEXT), .special = true};
    piece_table(t);
    tokenizer_finish(t);
    return t;
}

Tokenizer *bpe_train(BpeTrainer *b, size_t vocab_size) {
    if (vocab_size < 257 || vocab_size > INT32_MAX / 2)
        bad_input("a vocabulary of %zu is asked for; at least 257 are needed (256 bytes and " END_OF_TEXT "), at most %d are possible",
            vocab_size, INT32_MAX / 2);
    Tokenizer *t = b->t = bare_tokenizer(vocab_size);
    lay_out(b);
    merges_begin(t, vocab_size);
    /* a join whose text exists already adds a merge and no token; room is for as many merges as tokens */
    for (uint32_t best; t->count < vocab_size && t->merge_count < vocab_size && (best = best_pair(b)) != NOWHERE;) {
        int32_t left = b->pairs[best].left, right = b->pairs[best].right, id = joined_piece(t, left, right);
        merge_add(t, left, right, (uint32_t)t->merge_count, id);
        join_everywhere(b, best, id);
    }
    trainer_free(b);
    return t;
}
