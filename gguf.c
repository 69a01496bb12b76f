/* Reading. Sizes of hostile files are the history of this format's readers (CVE-2024-21802, -23496, -23605, CVE-2025-53630,
 * CVE-2026-27940, -33298): so there is one cursor that cannot pass the end, one product that cannot wrap, and no count is believed
 * that the rest of the file could not hold. */
#include "gguf.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define DAMAGED "the file is damaged; download or convert it again"

/* No model has more; ggml's own names end at 63 bytes, keys at 65,535. */
enum { MAX_TENSORS = 1 << 17, MAX_KEYS = 1 << 16, MAX_NAME = 255, MAX_KEY = 1024, MAX_ALIGNMENT = 1 << 16 };

struct Gguf {
    OsMap map;
    char *path;
    GgufTensor *tensors;
    GgufValue *values;
    size_t count, value_count;
    const void **by_name, **by_key;  /* GgufTensor, GgufValue: both begin with their name */
};

static const struct {
    const char *name;
    size_t bytes;                    /* 0: of no fixed size */
} kinds[GGUF_KINDS] = {{"U8", 1},   {"I8", 1},     {"U16", 2},  {"I16", 2}, {"U32", 4}, {"I32", 4}, {"F32", 4},
                       {"BOOL", 1}, {"STRING", 0}, {"ARRAY", 0}, {"U64", 8}, {"I64", 8}, {"F64", 8}};

bool gguf_named(const char *path) { return str_ends(path, ".gguf"); }

static uint64_t number_at(const unsigned char *at, size_t bytes) {
    uint64_t value = 0;
    for (size_t i = bytes; i-- > 0;) value = value << 8 | at[i];
    return value;
}

/* ---- the cursor ---- */

typedef struct {
    const char *path;
    const OsMap *map;
    size_t at;
    char what[160];                  /* what is being read, for messages */
} Reader;

static const unsigned char *take(Reader *r, uint64_t bytes) {
    if (bytes > r->map->size - r->at)
        bad_input("%s: byte %zu: %s needs %llu bytes, but only %zu are left: the file is cut short or damaged; download it again", r->path, r->at,
                  r->what, (unsigned long long)bytes, r->map->size - r->at);
    const unsigned char *here = r->map->data + r->at;
    r->at += (size_t)bytes;
    return here;
}

static uint64_t take_number(Reader *r, size_t bytes) { return number_at(take(r, bytes), bytes); }

static const char *take_string(Reader *r, uint64_t *length) {
    *length = take_number(r, 8);
    return (const char *)take(r, *length);
}

/* A name: 1 to `most` bytes, none of them a zero or a control character. */
static char *take_name(Reader *r, uint64_t most) {
    uint64_t length;
    size_t begin = r->at;
    const char *text = take_string(r, &length);
    if (!length || length > most)
        bad_input("%s: byte %zu: %s has %llu bytes, expected 1 to %llu: " DAMAGED, r->path, begin, r->what, (unsigned long long)length,
                  (unsigned long long)most);
    for (uint64_t i = 0; i < length; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            bad_input("%s: byte %zu: %s holds the byte %d, expected printable characters: " DAMAGED, r->path, begin, r->what, text[i]);
    return str_copy_n(text, (size_t)length);
}

/* The file's own numbers, bounded: no more entries than `least_bytes` each would leave room for. */
static size_t take_count(Reader *r, const char *what, uint64_t most, uint64_t least_bytes) {
    snprintf(r->what, sizeof r->what, "the number of %s", what);
    uint64_t count = take_number(r, 8), room = (r->map->size - r->at) / least_bytes;
    if (count > most || count > room)
        bad_input("%s: byte %zu: %llu %s, expected at most %llu in a file of this size: " DAMAGED, r->path, r->at - 8, (unsigned long long)count,
                  what, (unsigned long long)(room < most ? room : most));
    return (size_t)count;
}

static bool times(uint64_t *product, uint64_t factor) {
    if (factor && *product > UINT64_MAX / factor) return false;
    *product *= factor;
    return true;
}

/* ---- keys and values ---- */

static GgufKind take_kind(Reader *r, const char *key) {
    uint64_t kind = take_number(r, 4);
    if (kind >= GGUF_KINDS)
        bad_input("%s: byte %zu: key %s: its value is of kind %llu, expected 0 to %d: " DAMAGED, r->path, r->at - 4, key,
                  (unsigned long long)kind, GGUF_KINDS - 1);
    return (GgufKind)kind;
}

static void take_values(Reader *r, const char *key, GgufKind kind, uint64_t count) {
    if (kind == GGUF_STRING) {
        for (uint64_t i = 0, length; i < count; i++) take_string(r, &length);
        return;
    }
    uint64_t bytes = kinds[kind].bytes;
    if (!times(&bytes, count)) bad_input("%s: byte %zu: key %s: an array of 2^61 values or more: " DAMAGED, r->path, r->at, key);
    const unsigned char *at = take(r, bytes);
    for (uint64_t i = 0; kind == GGUF_BOOL && i < count; i++)
        if (at[i] > 1) bad_input("%s: key %s: a BOOL is %d, expected 0 or 1: " DAMAGED, r->path, key, at[i]);
}

static void take_value(Reader *r, GgufValue *v) {
    snprintf(r->what, sizeof r->what, "a key");
    v->key = take_name(r, MAX_KEY);
    snprintf(r->what, sizeof r->what, "the value of key %.100s", v->key);
    v->kind = take_kind(r, v->key);
    v->count = 1;
    if (v->kind == GGUF_ARRAY) {
        v->of = take_kind(r, v->key);
        if (v->of == GGUF_ARRAY) bad_input("%s: key %s: an array of arrays, which no model has: " DAMAGED, r->path, v->key);
        v->count = take_number(r, 8);
    }
    v->at = r->map->data + r->at;
    take_values(r, v->key, v->kind == GGUF_ARRAY ? v->of : v->kind, v->count);
}

/* ---- tensors ---- */

static void take_tensor(Reader *r, GgufTensor *t, uint64_t *offset) {
    snprintf(r->what, sizeof r->what, "a tensor's name");
    t->name = take_name(r, MAX_NAME);
    snprintf(r->what, sizeof r->what, "the entry of tensor %.100s", t->name);
    uint64_t rank = take_number(r, 4);
    if (rank < 1 || rank > GGUF_MAX_RANK)
        bad_input("%s: tensor %s has %llu dimensions, expected 1 to %d: " DAMAGED, r->path, t->name, (unsigned long long)rank, GGUF_MAX_RANK);
    t->rank = (int)rank, t->elements = 1;
    for (int d = 0; d < t->rank; d++) {
        t->dims[d] = take_number(r, 8);
        if (!t->dims[d] || t->dims[d] > INT64_MAX || !times(&t->elements, t->dims[d]))
            bad_input("%s: tensor %s: dimension %d is %llu: empty, or the product does not fit into 64 bits: " DAMAGED, r->path, t->name, d,
                      (unsigned long long)t->dims[d]);
    }
    uint64_t type = take_number(r, 4);
    size_t elements, bytes;
    if (type > UINT32_MAX || !ggml_block((uint32_t)type, &elements, &bytes)) {
        const char *name = ggml_type_name((uint32_t)type);
        bad_input("%s: tensor %s is of type %s (%llu); read are F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q2_K to Q6_K and IQ4_NL: take the "
                  "model in one of these", r->path, t->name, name ? name : "unknown", (unsigned long long)type);
    }
    t->type = (GgmlType)type;
    if (t->dims[0] % elements)
        bad_input("%s: tensor %s: a row of %llu elements is no multiple of %s's blocks of %zu: " DAMAGED, r->path, t->name,
                  (unsigned long long)t->dims[0], ggml_type_name((uint32_t)type), elements);
    t->bytes = t->elements / elements;
    if (!times(&t->bytes, bytes))
        bad_input("%s: tensor %s: its bytes do not fit into 64 bits: " DAMAGED, r->path, t->name);
    *offset = take_number(r, 8);
}

/* Where each tensor's data lie: exactly behind those before, padded, to the end of the file. */
static void place_tensors(Gguf *g, Reader *r, const uint64_t *offsets, uint64_t alignment) {
    uint64_t begin = r->at, padding = (alignment - begin % alignment) % alignment, at = 0;
    if (!g->count) return;
    if (padding > g->map.size - begin) bad_input("%s: the file ends before the tensors' data: it is cut short; download it again", g->path);
    const unsigned char *data = g->map.data + begin + padding;
    uint64_t size = g->map.size - begin - padding;
    for (size_t i = 0; i < g->count; i++) {
        GgufTensor *t = &g->tensors[i];
        if (offsets[i] != at)
            bad_input("%s: tensor %s: its data begin at %llu, expected %llu, behind those before: " DAMAGED, g->path, t->name,
                      (unsigned long long)offsets[i], (unsigned long long)at);
        if (at > size || t->bytes > size - at)
            bad_input("%s: tensor %s: its %llu bytes at %llu do not fit into the %llu bytes of data: the file is cut short; download it again",
                      g->path, t->name, (unsigned long long)t->bytes, (unsigned long long)at, (unsigned long long)size);
        t->data = data + at;
        at += t->bytes;
        uint64_t gap = (alignment - at % alignment) % alignment;
        at += i + 1 < g->count || gap < size - at ? gap : size - at; /* some writers do not pad the last */
    }
    if (at != size)
        bad_input("%s: %llu bytes behind the last tensor's data, expected none: " DAMAGED, g->path, (unsigned long long)(size - at));
}

/* ---- the file ---- */

static int compare_names(const void *a, const void *b, const void *context) {
    (void)context;
    return strcmp(**(const char *const *const *)a, **(const char *const *const *)b);
}

static void sort_both(Gguf *g) {
    g->by_name = mem_new(g->count, sizeof *g->by_name);
    g->by_key = mem_new(g->value_count, sizeof *g->by_key);
    for (size_t i = 0; i < g->count; i++) g->by_name[i] = &g->tensors[i];
    for (size_t i = 0; i < g->value_count; i++) g->by_key[i] = &g->values[i];
    sort_stable(g->by_name, g->count, sizeof *g->by_name, compare_names, NULL);
    sort_stable(g->by_key, g->value_count, sizeof *g->by_key, compare_names, NULL);
    for (size_t i = 1; i < g->count; i++)
        if (!compare_names(&g->by_name[i - 1], &g->by_name[i], NULL))
            bad_input("%s: two tensors are called %s: " DAMAGED, g->path, *(const char *const *)g->by_name[i]);
    for (size_t i = 1; i < g->value_count; i++)
        if (!compare_names(&g->by_key[i - 1], &g->by_key[i], NULL))
            bad_input("%s: the key %s stands in it twice: " DAMAGED, g->path, *(const char *const *)g->by_key[i]);
}

static void read_frame(Reader *r, size_t *tensors, size_t *values) {
    snprintf(r->what, sizeof r->what, "the header");
    if (memcmp(take(r, 4), "GGUF", 4)) bad_input("%s: does not begin with \"GGUF\": no GGUF file", r->path);
    uint64_t version = take_number(r, 4);
    if (version == 0x02000000 || version == 0x03000000)
        bad_input("%s: a GGUF file of a big-endian machine: convert the model again on a little-endian one", r->path);
    if (version != 2 && version != 3)
        bad_input("%s: GGUF version %llu, expected 2 or 3: convert the model again", r->path, (unsigned long long)version);
    *tensors = take_count(r, "tensors", MAX_TENSORS, 8 + 1 + 4 + 8 + 4 + 8);
    *values = take_count(r, "keys", MAX_KEYS, 8 + 1 + 4 + 1);
}

Gguf *gguf_open(const char *path) {
    Gguf *g = mem_new(1, sizeof *g);
    g->path = str_copy(path);
    g->map = os_map(path);
    Reader r = {.path = g->path, .map = &g->map};
    read_frame(&r, &g->count, &g->value_count);
    g->values = mem_new(g->value_count, sizeof *g->values);
    g->tensors = mem_new(g->count, sizeof *g->tensors);
    uint64_t *offsets = mem_new(g->count, sizeof *offsets);
    for (size_t i = 0; i < g->value_count; i++) take_value(&r, &g->values[i]);
    for (size_t i = 0; i < g->count; i++) take_tensor(&r, &g->tensors[i], &offsets[i]);
    sort_both(g);
    uint64_t alignment = (uint64_t)gguf_int(g, "general.alignment", 1, MAX_ALIGNMENT, 32);
    if (alignment & (alignment - 1)) bad_input("%s: general.alignment is %d, expected a power of two: " DAMAGED, path, (int)alignment);
    place_tensors(g, &r, offsets, alignment);
    mem_free(offsets);
    return g;
}

void gguf_close(Gguf *g) {
    if (!g) return;
    for (size_t i = 0; i < g->count; i++) mem_free((char *)g->tensors[i].name);
    for (size_t i = 0; i < g->value_count; i++) mem_free((char *)g->values[i].key);
    os_unmap(&g->map);
    mem_free(g->tensors), mem_free(g->values), mem_free((void *)g->by_name), mem_free((void *)g->by_key), mem_free(g->path), mem_free(g);
}

const char *gguf_path(const Gguf *g) { return g->path; }
size_t gguf_count(const Gguf *g) { return g->count; }

const GgufTensor *gguf_tensor(const Gguf *g, size_t i) {
    assert(i < g->count);
    return &g->tensors[i];
}

/* In an array of pointers to things that begin with their name, sorted by it. */
static const void *find_sorted(const void *const *sorted, size_t count, const char *name) {
    for (size_t low = 0, high = count; low < high;) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(name, *(const char *const *)sorted[middle]);
        if (!order) return sorted[middle];
        if (order < 0) high = middle;
        else low = middle + 1;
    }
    return NULL;
}

const GgufTensor *gguf_find(const Gguf *g, const char *name) { return find_sorted(g->by_name, g->count, name); }
const GgufValue *gguf_get(const Gguf *g, const char *key) { return find_sorted(g->by_key, g->value_count, key); }

/* ---- checked values ---- */

static _Noreturn void wrong_kind(const Gguf *g, const GgufValue *v, const char *expected) {
    bad_input("%s: key %s is %s%s, expected %s: " DAMAGED, g->path, v->key, v->kind == GGUF_ARRAY ? "an array of " : "",
              kinds[v->kind == GGUF_ARRAY ? v->of : v->kind].name, expected);
}

int64_t gguf_int(const Gguf *g, const char *key, int64_t least, int64_t most, int64_t fallback) {
    const GgufValue *v = gguf_get(g, key);
    if (!v) return fallback;
    if (v->kind == GGUF_F32 || v->kind == GGUF_F64 || v->kind == GGUF_STRING || v->kind == GGUF_ARRAY || v->kind == GGUF_BOOL)
        wrong_kind(g, v, "a whole number");
    size_t bytes = kinds[v->kind].bytes;
    uint64_t raw = number_at(v->at, bytes);
    bool is_signed = v->kind == GGUF_I8 || v->kind == GGUF_I16 || v->kind == GGUF_I32 || v->kind == GGUF_I64;
    bool negative = is_signed && raw >> (8 * bytes - 1);
    if (negative && bytes < 8) raw |= UINT64_MAX << 8 * bytes;
    bool fits = negative || raw <= INT64_MAX;
    int64_t value = negative ? -(int64_t)~raw - 1 : fits ? (int64_t)raw : 0;
    if (!fits || value < least || value > most)
        bad_input("%s: key %s is %s%llu, expected %lld to %lld: " DAMAGED, g->path, key, negative ? "-" : "",
                  (unsigned long long)(negative ? ~raw + 1 : raw), (long long)least, (long long)most);
    return value;
}

static double real_at(const unsigned char *at, size_t bytes) {
    uint64_t raw = number_at(at, bytes);
    uint32_t low = (uint32_t)raw;
    double wide;
    float narrow;
    memcpy(&wide, &raw, sizeof wide), memcpy(&narrow, &low, sizeof narrow);
    return bytes == 8 ? wide : (double)narrow;
}

double gguf_real(const Gguf *g, const char *key, double fallback) {
    const GgufValue *v = gguf_get(g, key);
    if (!v) return fallback;
    if (v->kind != GGUF_F32 && v->kind != GGUF_F64) wrong_kind(g, v, "F32");
    return real_at(v->at, kinds[v->kind].bytes);
}

bool gguf_bool(const Gguf *g, const char *key, bool fallback) {
    const GgufValue *v = gguf_get(g, key);
    if (v && v->kind != GGUF_BOOL) wrong_kind(g, v, "BOOL");
    return v ? *v->at : fallback;
}

char *gguf_text(const Gguf *g, const char *key, const char *fallback) {
    const GgufValue *v = gguf_get(g, key);
    if (!v) return fallback ? str_copy(fallback) : NULL;
    if (v->kind != GGUF_STRING) wrong_kind(g, v, "STRING");
    const unsigned char *at = v->at;
    size_t length;
    const char *text = gguf_next_string(&at, &length);
    if (memchr(text, 0, length)) bad_input("%s: key %s: a zero byte in its text: " DAMAGED, g->path, key);
    return str_copy_n(text, length);
}

const GgufValue *gguf_array(const Gguf *g, const char *key, GgufKind of) {
    const GgufValue *v = gguf_get(g, key);
    if (!v) return NULL;
    bool whole = (of == GGUF_I32 || of == GGUF_U32) && (v->of == GGUF_I32 || v->of == GGUF_U32);
    if (v->kind != GGUF_ARRAY || (v->of != of && !whole)) {
        char expected[40];
        snprintf(expected, sizeof expected, "an array of %s", kinds[of].name);
        wrong_kind(g, v, expected);
    }
    return v;
}

int64_t gguf_int_at(const GgufValue *array, uint64_t i) {
    uint32_t raw = (uint32_t)number_at(array->at + 4 * i, 4);
    return array->of == GGUF_I32 ? (int64_t)(int32_t)raw : (int64_t)raw;
}

float gguf_float_at(const GgufValue *array, uint64_t i) { return (float)real_at(array->at + 4 * i, 4); }

const char *gguf_next_string(const unsigned char **at, size_t *length) {
    *length = (size_t)number_at(*at, 8);
    const char *text = (const char *)*at + 8;
    *at += 8 + *length;
    return text;
}
