/* dataset: texts as samples.
 *
 *     file or folder -> documents (split at <|endoftext|>, newlines at both ends dropped, empty ones skipped)
 *                    -> ids: BOS? text EOS? -> pairs (id_i, id_i+1) within the document
 *                    -> rows: all pairs end to end in file order, ctx of them to a row
 *
 *     pairs    | document 0          | document 1    | document 2                      |
 *     rows     |    row 0    |    row 1    |    row 2    |    row 3    | row 4 (short) |
 *
 * A row is a sample. A document that a row's end cuts goes on in the next row as a new segment, from position 0.
 */
#ifndef DATASET_H
#define DATASET_H

#include "model.h"
#include "tokenizer.h"

/* ---- texts ---- */

typedef struct {
    const char *text;
    size_t length;
} Document;

typedef struct {
    Document *documents;
    size_t count;
    size_t bytes;                     /* of the documents */
    char hash[65];                    /* SHA-256 of the file; of a folder: of its texts' hashes and names */
    Buf *files;                       /* what the documents point into */
    size_t file_count;
} Texts;

/* A file, or every *.txt of a folder in the order of their names. Empty: bad_input. */
Texts texts_read(const char *path);
void texts_free(Texts *t);
/* Takes a fraction of the documents out of `t` into the result, chosen by (seed, document number); of fewer than twenty
 * documents the end of the last one instead. */
Texts texts_hold_out(Texts *t, double fraction, uint32_t seed);

/* ---- rows ---- */

typedef struct {
    int32_t *ids;                     /* all documents' ids, end to end */
    size_t *id_start, *pair_start;    /* [documents + 1] */
    size_t documents, pairs, ctx, bytes;
} Corpus;

Corpus corpus_new(const Texts *t, Tokenizer *tok, size_t ctx);
void corpus_free(Corpus *c);
size_t corpus_rows(const Corpus *c);
/* Appends the segments of a row; tokens appended. */
size_t corpus_add_row(const Corpus *c, size_t row, Batch *b);

/* ---- samples ----
 * Where they come from: appends one to a batch as one or more segments. */
typedef struct {
    size_t samples, longest;          /* longest: tokens of the longest sample */
    const void *self;
    void (*add)(const void *self, size_t sample, Batch *b);
    size_t (*length)(const void *self, size_t sample);   /* its tokens; NULL: as the longest */
} Source;

/* ---- the order of samples ---- */

/* Step k takes samples [k*batch, (k+1)*batch) of the endless concatenation of epochs. Epoch e is the permutation keyed (seed, order, e),
 * or the file's order. */
typedef struct {
    size_t samples;
    uint32_t seed;
    bool shuffle;
    uint32_t *permutation;            /* of the epoch below */
    size_t epoch;
} Order;

Order order_new(size_t samples, uint32_t seed, bool shuffle);
void order_free(Order *o);
/* The sample at place i of the endless concatenation. */
size_t order_sample(Order *o, uint64_t i);

#endif
