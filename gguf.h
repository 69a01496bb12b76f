/* gguf: the one-file models of llama.cpp: keys with values, then named tensors, each perhaps in blocks of few bits.
 *
 *     "GGUF" | u32 version | u64 tensors | u64 keys
 *     of each key:      string | u32 kind | value                           a string: u64 length, bytes. An array: u32 kind, u64 count, values
 *     of each tensor:   string | u32 rank | u64 dims[rank] | u32 type | u64 offset          the first dimension varies fastest
 *     zeros up to a multiple of the alignment | the tensors' data, each padded to it
 *
 * A file is checked whole before anything of it is used: every count, length and product against the bytes that are there, names and keys
 * without duplicates, each tensor exactly behind the one before.
 */
#ifndef GGUF_H
#define GGUF_H

#include "os.h"

/* What the elements of a tensor are; the numbers are the format's. */
typedef enum {
    GGML_F32 = 0, GGML_F16 = 1, GGML_Q4_0 = 2, GGML_Q4_1 = 3, GGML_Q5_0 = 6, GGML_Q5_1 = 7, GGML_Q8_0 = 8, GGML_Q2_K = 10, GGML_Q3_K = 11,
    GGML_Q4_K = 12, GGML_Q5_K = 13, GGML_Q6_K = 14, GGML_IQ4_NL = 20, GGML_BF16 = 30
} GgmlType;

/* ---- blocks (gguf_quant.c) ---- */

const char *ggml_type_name(uint32_t type);     /* "Q4_K", also of those that are not read; NULL: no such type */
/* Elements and bytes of a block; false: a type that is not read here. */
bool ggml_block(uint32_t type, size_t *elements, size_t *bytes);
/* n elements, whole blocks, as the Python package gguf computes them, bit for bit. data needs no alignment. */
void ggml_dequantize(GgmlType type, const unsigned char *data, float *out, size_t n);
/* The same elements in F32, F16, BF16 or Q8_0 (whole blocks): as llama.cpp rounds them. Appends the bytes. */
void ggml_quantize(GgmlType type, const float *x, size_t n, Buf *out);

/* ---- reading ---- */

typedef enum {
    GGUF_U8, GGUF_I8, GGUF_U16, GGUF_I16, GGUF_U32, GGUF_I32, GGUF_F32, GGUF_BOOL, GGUF_STRING, GGUF_ARRAY, GGUF_U64, GGUF_I64, GGUF_F64, GGUF_KINDS
} GgufKind;

typedef struct {
    const char *key;
    GgufKind kind, of;               /* of: the kind of an array's values, none of them an array */
    uint64_t count;                  /* of an array; else 1 */
    const unsigned char *at;         /* the value, or the first of them, in the mapped file */
} GgufValue;

enum { GGUF_MAX_RANK = 4 };

typedef struct {
    const char *name;
    GgmlType type;
    int rank;
    uint64_t dims[GGUF_MAX_RANK];    /* as in the file: a row first. A matrix [out, in] has dims in, out */
    const unsigned char *data;
    uint64_t elements, bytes;
} GgufTensor;

typedef struct Gguf Gguf;
/* Whether a path is one of a GGUF file: by its name, ".gguf". */
bool gguf_named(const char *path);
Gguf *gguf_open(const char *path);
void gguf_close(Gguf *g);
const char *gguf_path(const Gguf *g);
size_t gguf_count(const Gguf *g);
const GgufTensor *gguf_tensor(const Gguf *g, size_t i);                 /* in file order; one array */
const GgufTensor *gguf_find(const Gguf *g, const char *name);           /* NULL: not there */
const GgufValue *gguf_get(const Gguf *g, const char *key);              /* NULL: not there */

/* Values that must have a kind: bad_input naming file and key. Absent: the fallback. Texts hold no zero byte; free them. */
int64_t gguf_int(const Gguf *g, const char *key, int64_t least, int64_t most, int64_t fallback);
double gguf_real(const Gguf *g, const char *key, double fallback);
bool gguf_bool(const Gguf *g, const char *key, bool fallback);
char *gguf_text(const Gguf *g, const char *key, const char *fallback);  /* NULL when absent and the fallback is NULL */
/* An array of this kind, or NULL when absent. */
const GgufValue *gguf_array(const Gguf *g, const char *key, GgufKind of);
int64_t gguf_int_at(const GgufValue *array, uint64_t i);                /* of GGUF_I32 or GGUF_U32 */
float gguf_float_at(const GgufValue *array, uint64_t i);
/* A walk over an array of strings: at begins as array->at. The bytes lie in the mapped file. */
const char *gguf_next_string(const unsigned char **at, size_t *length);

/* ---- writing (gguf_write.c): keys in the order of the calls, then all tensors' entries, then their data in the same order ---- */

typedef struct GgufWriter GgufWriter;
GgufWriter *gguf_create(const char *path);
void gguf_put_text(GgufWriter *w, const char *key, const char *text, size_t length);
void gguf_put_uint(GgufWriter *w, const char *key, uint64_t value);     /* as U32 */
void gguf_put_float(GgufWriter *w, const char *key, double value);      /* as F32 */
void gguf_put_bool(GgufWriter *w, const char *key, bool value);
/* count values follow, each appended by gguf_item_…; the kind is STRING, I32 or F32 */
void gguf_put_array(GgufWriter *w, const char *key, GgufKind of, size_t count);
void gguf_item_text(GgufWriter *w, const char *text, size_t length);
void gguf_item_int(GgufWriter *w, int32_t value);
void gguf_item_float(GgufWriter *w, float value);
/* rows [rank 2: dims[1] of dims[0] elements; rank 1: one of dims[0]]. */
void gguf_put_tensor(GgufWriter *w, const char *name, GgmlType type, int rank, const uint64_t *dims);
/* After the last tensor's entry: the data of the next tensor, row by row. */
void gguf_put_row(GgufWriter *w, const float *row);
void gguf_commit(GgufWriter *w);                                        /* durable; frees */

#endif
