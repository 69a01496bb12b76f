/* pass: what a forward pass keeps, shared by training (pass.c) and decoding (decode.c) and by nobody else. */
#ifndef PASS_H
#define PASS_H

#include "attention.h"
#include "model.h"

enum { HEAD_BLOCK = 1 << 19 };        /* logits held at a time, about: rows x vocabulary */

typedef struct {
    size_t dim, q, kv, qkv, heads, in;   /* reals a token */
    size_t raw, heads_raw;               /* norms of heads: q and k, and their heads; else 0 */
} Widths;

/* One layer's activations that backward reads, [N, …]; x, its input, stands in Pass. */
typedef struct {
    real *mean1, *rstd1, *qkv, *o, *top, *inv_sum, *mid, *mean2, *rstd2, *in;
    real *raw, *rstd_heads;           /* norms of heads: q and k as they were, and 1/deviation of each head; else empty */
} Kept;

/* Rows of logits that live at a time. */
static inline size_t head_rows(size_t vocab) {
    size_t rows = HEAD_BLOCK / vocab;
    return rows < 16 ? 16 : rows > 256 ? 256 : rows;
}

/* Distillation: whose distribution is imitated, and room for a block of its logits. Of each token of the batch: its row in the teacher's pass. */
typedef struct {
    Model *model;                     /* NULL: none */
    Pass *forward;
    double scale, *sum, *losses;      /* losses [tokens]: KL of each token of the batch */
    Batch batch;                      /* the distilled segments alone */
    size_t *row_of;                   /* [tokens]; SIZE_MAX: not distilled */
    size_t *place;                    /* [head_rows]: of a block's rows, their place in logits */
    real *kept, *logits, *rows;       /* [head_rows, V] the model's logits, [head_rows, V] the teacher's, [head_rows, C] */
} Teacher;

struct Pass {
    size_t tokens, keys;              /* capacity: tokens at once, longest segment */
    bool backward, recompute;
    Widths width;
    Heads shape;
    void *memory;
    real **x;                         /* [layers + 1] residual stream before each block and after the last, [N, C] */
    Kept *kept;                       /* [layers]; one shared set with recompute and without backward */
    real *mean_f, *rstd_f, *final;    /* the last norm: statistics and output */
    real *h, *act, *attention;        /* scratch */
    Adapting adapting;                /* room for adapters, and what dropout depends on in the last forward */
    AttentionBlock *blocks;
    size_t block_count, *position;
    real *logits, *rows, *drows;      /* a block of the head */
    size_t head_rows, *supervised;
    double *losses;
    real *dx, *dh, *dact, *din, *dqkv, *d_o, *delta, *d_raw;
    size_t lowest;                    /* place of the lowest Param that is trained: nothing below it is computed backward */
    int32_t *row_of;                  /* [V]: row of an id in embed, -1: not in this step, or not trained */
    real *embed;                      /* gradient of just those rows of the embedding */
    size_t embed_rows;
    real *columns;                    /* the columns of a block of dlogits whose head rows are trained alone */
    Teacher teacher;
};

/* ---- distil.c ---- */
/* The teacher reads the batch's distilled segments. */
void teacher_forward(Model *m, Pass *p, const Batch *b);
static inline bool teacher_has(const Pass *p, size_t token) { return p->teacher.model && p->teacher.row_of[token] != SIZE_MAX; }
/* The teacher's logits of those of the n tokens that are distilled; the model's, which stand in p->logits, are kept. */
void teacher_logits(Model *m, Pass *p, const size_t *tokens, size_t n);
/* Adds to row i of a block of dlogits what the teacher asks of the token. */
void teacher_row(Pass *p, real *dlogits, size_t V, size_t token, size_t i);
/* Adds the batch's KL, token by token. */
void teacher_sum(Pass *p, const Batch *b);
void teacher_free(Teacher *t);

Pass *pass_new_keys(const Model *m, size_t tokens, bool backward, bool recompute, size_t keys);
void embed(const Model *m, Pass *p, const int32_t *ids, size_t N);
/* cache_k, cache_v [ctx, kv]: where decoding keeps this layer's keys and values; NULL: they stand in the pass. */
void block_forward(const Model *m, Pass *p, size_t layer, size_t N, real *cache_k, real *cache_v);
void finish_forward(const Model *m, Pass *p, size_t N);

#endif
