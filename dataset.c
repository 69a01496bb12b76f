#include "dataset.h"

#include "os.h"

#include <assert.h>
#include <string.h>

/* ---- texts ---- */

static bool is_newline(char c) { return c == '\n' || c == '\r'; }

static void add_document(Texts *t, const char *text, size_t length, size_t *room) {
    while (length && is_newline(text[0])) text++, length--;
    while (length && is_newline(text[length - 1])) length--;
    if (!length) return;
    if (t->count == *room) {
        *room = 2 * *room + 64;
        t->documents = mem_resize(t->documents, *room, sizeof *t->documents);
    }
    t->documents[t->count++] = (Document){text, length};
    t->bytes += length;
}

static const char *find(const char *text, size_t length, const char *mark) {
    size_t n = strlen(mark);
    const char *end = text + length, *at = text;
    while ((size_t)(end - at) >= n && (at = memchr(at, mark[0], (size_t)(end - at) - n + 1)) != NULL) {
        if (!memcmp(at, mark, n)) return at;
        at++;
    }
    return NULL;
}

static void add_file(Texts *t, const Buf *file, size_t *room) {
    const char *at = file->data, *end = file->data + file->len, *cut;
    for (; at && (cut = find(at, (size_t)(end - at), END_OF_TEXT)) != NULL; at = cut + strlen(END_OF_TEXT)) add_document(t, at, (size_t)(cut - at), room);
    if (at) add_document(t, at, (size_t)(end - at), room);
}

Texts texts_read(const char *path) {
    Texts t = {0};
    size_t room = 0, names = 0;
    if (os_exists(path) && os_is_dir(path)) {
        Sha256 whole;
        unsigned char digest[32];
        char **list = os_list(path, &names);
        sha256_begin(&whole);
        t.files = mem_new(names, sizeof *t.files);
        for (size_t i = 0; i < names; i++) {
            if (str_ends(list[i], ".txt")) {
                char *file = os_join(path, list[i]), hex[65];
                Buf *text = &t.files[t.file_count++];
                *text = os_read(file);
                sha256_of(text->data, text->len, hex);
                sha256_add(&whole, hex, 64), sha256_add(&whole, list[i], strlen(list[i]) + 1);
                mem_free(file);
            }
            mem_free(list[i]);
        }
        mem_free(list);
        if (!t.file_count) bad_input("%s: the folder holds no *.txt; name a text file, or put the texts there", path);
        sha256_end(&whole, digest), sha256_hex(digest, t.hash);
    } else {
        t.files = mem_new(1, sizeof *t.files);
        t.files[t.file_count++] = os_read(path);
        sha256_of(t.files[0].data, t.files[0].len, t.hash);
    }
    for (size_t i = 0; i < t.file_count; i++) add_file(&t, &t.files[i], &room);
    if (!t.count) bad_input("%s: no text in it (documents are separated by " END_OF_TEXT ")", path);
    return t;
}

void texts_free(Texts *t) {
    for (size_t i = 0; i < t->file_count; i++) buf_free(&t->files[i]);
    mem_free(t->files), mem_free(t->documents);
    *t = (Texts){0};
}

static Texts hold_out_tail(Texts *t, double fraction) {
    Texts out = {0};
    size_t room = 0;
    Document *last = &t->documents[t->count - 1];
    size_t cut = last->length - (size_t)((double)last->length * fraction);
    while (cut < last->length && last->text[cut - 1] != '\n') cut++;
    if (!cut || cut >= last->length)
        bad_input("cannot hold out a fraction of so short a text: give --valid FILE, or separate documents by " END_OF_TEXT);
    add_document(&out, last->text + cut, last->length - cut, &room);
    t->bytes -= last->length;
    while (cut && is_newline(last->text[cut - 1])) cut--;
    last->length = cut;
    t->bytes += cut;
    return out;
}

Texts texts_hold_out(Texts *t, double fraction, uint32_t seed) {
    size_t held = (size_t)((double)t->count * fraction), kept = 0, room = 0;
    if (t->count < 20) return hold_out_tail(t, fraction);
    if (!held) held = 1;
    Texts out = {0};
    uint32_t *order = mem_new(t->count, sizeof *order);
    bool *take = mem_new(t->count, sizeof *take);
    rng_permute(order, (uint32_t)t->count, seed, RNG_SPLIT, 0);
    for (size_t i = 0; i < held; i++) take[order[i]] = true;
    t->bytes = 0;
    for (size_t i = 0; i < t->count; i++) {
        Document d = t->documents[i];
        if (take[i]) add_document(&out, d.text, d.length, &room);
        else t->documents[kept++] = d, t->bytes += d.length;
    }
    t->count = kept;
    mem_free(order), mem_free(take);
    return out;
}

/* ---- rows ---- */

Corpus corpus_new(const Texts *t, Tokenizer *tok, size_t ctx) {
    Corpus c = {.documents = t->count, .ctx = ctx, .bytes = t->bytes};
    Ids ids = {0};
    int32_t bos = tokenizer_bos(tok), eos = tokenizer_eos(tok);
    c.id_start = mem_new(t->count + 1, sizeof *c.id_start);
    c.pair_start = mem_new(t->count + 1, sizeof *c.pair_start);
    for (size_t i = 0; i < t->count; i++) {
        c.id_start[i] = ids.count;
        if (bos >= 0) ids_push(&ids, bos);
        tokenizer_encode(tok, t->documents[i].text, t->documents[i].length, false, &ids);
        if (eos >= 0) ids_push(&ids, eos);
        size_t n = ids.count - c.id_start[i];
        c.pair_start[i + 1] = c.pair_start[i] + (n ? n - 1 : 0);
    }
    c.id_start[t->count] = ids.count;
    c.pairs = c.pair_start[t->count];
    c.ids = ids.data;
    return c;
}

void corpus_free(Corpus *c) {
    mem_free(c->ids), mem_free(c->id_start), mem_free(c->pair_start);
    *c = (Corpus){0};
}

size_t corpus_rows(const Corpus *c) { return (c->pairs + c->ctx - 1) / c->ctx; }

/* The document that holds a pair: the last one that starts at or before it. */
static size_t document_of(const Corpus *c, size_t pair) {
    size_t low = 0, high = c->documents;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (c->pair_start[middle] <= pair) low = middle;
        else high = middle;
    }
    return low;
}

size_t corpus_add_row(const Corpus *c, size_t row, Batch *b) {
    size_t pair = row * c->ctx, end = pair + c->ctx < c->pairs ? pair + c->ctx : c->pairs, start = pair;
    assert(pair < c->pairs);
    for (size_t d = document_of(c, pair); pair < end; d++) {
        size_t stop = c->pair_start[d + 1] < end ? c->pair_start[d + 1] : end;
        const int32_t *ids = c->ids + c->id_start[d] + (pair - c->pair_start[d]);
        if (stop > pair) batch_add(b, ids, ids + 1, NULL, stop - pair);
        pair = stop;
    }
    return end - start;
}

/* ---- order ---- */

Order order_new(size_t samples, uint32_t seed, bool shuffle) {
    Order o = {.samples = samples, .seed = seed, .shuffle = shuffle, .epoch = SIZE_MAX};
    if (samples >= UINT32_MAX) bad_input("%zu samples are more than fit into an epoch; use several files or a longer --ctx", samples);
    if (shuffle) o.permutation = mem_new(samples, sizeof *o.permutation);
    return o;
}

void order_free(Order *o) { mem_free(o->permutation); }

size_t order_sample(Order *o, uint64_t i) {
    size_t epoch = (size_t)(i / o->samples), place = (size_t)(i % o->samples);
    if (!o->shuffle) return place;
    if (epoch != o->epoch) {
        rng_permute(o->permutation, (uint32_t)o->samples, o->seed, RNG_ORDER, epoch);
        o->epoch = epoch;
    }
    return o->permutation[place];
}
