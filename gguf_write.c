/* Writing: the entries are collected in memory, the data are streamed behind them. Canonical: what is written depends on nothing but the
 * calls. */
#include "gguf.h"

#include <assert.h>
#include <string.h>

enum { ALIGNMENT = 32 };

typedef struct {
    GgmlType type;
    size_t row, rows;                /* elements of a row, rows */
} Planned;

struct GgufWriter {
    OsFile *file;
    Buf keys, entries, row;
    size_t key_count, tensor_count;
    uint64_t offset;
    Planned *tensors;
    size_t current, current_row, written;   /* the tensor and row that comes next; bytes of data so far */
    bool streaming;
};

GgufWriter *gguf_create(const char *path) {
    GgufWriter *w = mem_new(1, sizeof *w);
    w->file = os_create(path);
    return w;
}

static void put_number(Buf *b, uint64_t value, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) buf_char(b, (char)(value >> 8 * i & 255));
}

static void put_string(Buf *b, const char *text, size_t length) {
    put_number(b, length, 8);
    buf_put(b, text, length);
}

static void put_key(GgufWriter *w, const char *key, GgufKind kind) {
    put_string(&w->keys, key, strlen(key));
    put_number(&w->keys, kind, 4);
    w->key_count++;
}

void gguf_put_text(GgufWriter *w, const char *key, const char *text, size_t length) {
    put_key(w, key, GGUF_STRING);
    put_string(&w->keys, text, length);
}

void gguf_put_uint(GgufWriter *w, const char *key, uint64_t value) {
    assert(value <= UINT32_MAX);
    put_key(w, key, GGUF_U32);
    put_number(&w->keys, value, 4);
}

void gguf_put_float(GgufWriter *w, const char *key, double value) {
    put_key(w, key, GGUF_F32);
    gguf_item_float(w, (float)value);
}

void gguf_put_bool(GgufWriter *w, const char *key, bool value) {
    put_key(w, key, GGUF_BOOL);
    put_number(&w->keys, value, 1);
}

void gguf_put_array(GgufWriter *w, const char *key, GgufKind of, size_t count) {
    put_key(w, key, GGUF_ARRAY);
    put_number(&w->keys, of, 4);
    put_number(&w->keys, count, 8);
}

void gguf_item_text(GgufWriter *w, const char *text, size_t length) { put_string(&w->keys, text, length); }
void gguf_item_int(GgufWriter *w, int32_t value) { put_number(&w->keys, (uint32_t)value, 4); }

void gguf_item_float(GgufWriter *w, float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    put_number(&w->keys, bits, 4);
}

static uint64_t padded(uint64_t n) { return (n + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT; }

void gguf_put_tensor(GgufWriter *w, const char *name, GgmlType type, int rank, const uint64_t *dims) {
    size_t elements = 1, bytes = 1, rows = 1;
    if (!ggml_block(type, &elements, &bytes)) assert(!"a type that is written");
    assert(!w->streaming && dims[0] % elements == 0);
    put_string(&w->entries, name, strlen(name));
    put_number(&w->entries, (uint64_t)rank, 4);
    for (int d = 0; d < rank; d++) put_number(&w->entries, dims[d], 8);
    put_number(&w->entries, type, 4);
    put_number(&w->entries, w->offset, 8);
    for (int d = 1; d < rank; d++) rows *= (size_t)dims[d];
    w->tensors = mem_resize(w->tensors, w->tensor_count + 1, sizeof *w->tensors);
    w->tensors[w->tensor_count++] = (Planned){type, (size_t)dims[0], rows};
    w->offset = padded(w->offset + rows * ((size_t)dims[0] / elements * bytes));
}

static void write_padding(GgufWriter *w, uint64_t written) {
    static const char zeros[ALIGNMENT];
    os_write(w->file, zeros, (size_t)(padded(written) - written));
}

static void begin_data(GgufWriter *w) {
    Buf head = {0};
    buf_put(&head, "GGUF", 4);
    put_number(&head, 3, 4), put_number(&head, w->tensor_count, 8), put_number(&head, w->key_count, 8);
    os_write(w->file, head.data, head.len);
    if (w->keys.len) os_write(w->file, w->keys.data, w->keys.len);
    if (w->entries.len) os_write(w->file, w->entries.data, w->entries.len);
    write_padding(w, head.len + w->keys.len + w->entries.len);
    buf_free(&head);
    w->streaming = true;
}

void gguf_put_row(GgufWriter *w, const float *row) {
    if (!w->streaming) begin_data(w);
    assert(w->current < w->tensor_count);
    const Planned *t = &w->tensors[w->current];
    w->row.len = 0;
    ggml_quantize(t->type, row, t->row, &w->row);
    os_write(w->file, w->row.data, w->row.len);
    w->written += w->row.len;
    if (++w->current_row < t->rows) return;
    write_padding(w, w->written);
    w->written = (size_t)padded(w->written);
    w->current++, w->current_row = 0;
}

void gguf_commit(GgufWriter *w) {
    if (!w->streaming) begin_data(w);
    assert(w->current == w->tensor_count && w->written == w->offset);
    os_commit(w->file);
    buf_free(&w->keys), buf_free(&w->entries), buf_free(&w->row), mem_free(w->tensors), mem_free(w);
}
