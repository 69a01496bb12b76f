/* model: the GPT-2 and the Llama family as one architecture with three forks: norm, position, activation.
 *
 *     x = tok[id] (+ pos[t])                                            position: learned rows (GPT-2) or RoPE on q and k (Llama)
 *     for each block:
 *         x += out( attention( qkv( norm1(x) ) ) )                      norm: LayerNorm or RMSNorm (Qwen3: also of each head of q and k)
 *         x += down( act( in( norm2(x) ) ) )                            activation: tanh-GELU or SiLU(gate)·up
 *     logits = head( norm_f(x) )
 *
 * Anything else that differs is a number or a missing bias (NULL).
 */
#ifndef MODEL_H
#define MODEL_H

#include "linear.h"

typedef enum { FAMILY_GPT2, FAMILY_LLAMA } Family;

/* What config.json calls a model of the Llama family. The arithmetic is in the settings below; this is its name in files. */
typedef enum { DIALECT_LLAMA, DIALECT_MISTRAL, DIALECT_QWEN2, DIALECT_QWEN3 } Dialect;

/* How RoPE's frequencies are stretched (Llama 3.1's "llama3", "linear"), beside theta. */
typedef enum { ROPE_PLAIN, ROPE_LINEAR, ROPE_LLAMA3 } RopeKind;

enum { MAX_EOS = 8 };

typedef struct {
    Family family;
    Dialect dialect;
    size_t vocab, ctx, dim, layers, heads, kv_heads, head_dim, ffn;
    bool tied;                        /* the head is the embedding */
    bool qkv_bias, out_bias, mlp_bias;
    bool qk_norm;                     /* Qwen3: RMSNorm of each head of q and of k */
    double norm_eps;
    double rope_theta;
    RopeKind rope_kind;
    double rope_factor, rope_low, rope_high, rope_original_ctx;
    double init_std;
    bool bare_names;                  /* tensor names without "model." or "transformer." */
    Stored saved_as;                  /* how the model's files hold its weights: STORED_REAL is f32 */
    int bos, pad;                     /* -1: none */
    int eos[MAX_EOS], eos_count;
} Config;

typedef struct {
    Param *w, *b;                     /* b NULL: RMSNorm */
} Norm;

typedef struct {
    Norm norm1, norm2;
    Norm q_norm, k_norm;              /* of heads; w NULL: none */
    Linear qkv[3];                    /* Llama: q, k, v; GPT-2: c_attn alone. Their outputs lie side by side: q | k | v */
    Linear out;
    Linear in[2];                     /* Llama: gate, up; GPT-2: c_fc alone */
    Linear down;
    int qkv_count, in_count;
} Block;

/* Rows of a matrix that are trained though the rest of it is frozen: `rows` [count, C] is what is trained, and adapter_refresh copies it
 * into the matrix. rows NULL: there are none. */
typedef struct {
    Param *of, *rows;
    int32_t *ids;                     /* ascending */
    size_t count;
    real *base;                       /* the matrix's own rows */
} TrainedRows;

typedef struct Adapter Adapter;       /* lora.h */

typedef struct {
    Config config;
    Param *tok, *pos;                 /* pos NULL: RoPE */
    Block *blocks;
    Norm norm_f;
    Linear head;                      /* tied: head.w == tok */
    Param **params;                   /* the registry: each tensor once, in file order; an adapter's after the model's */
    size_t count;
    Adapter *adapter;                 /* NULL: none */
    Stored read_as;                   /* how the folder that it was read from held its matrices */
    TrainedRows tok_rows, head_rows;  /* tied: the first alone */
    real *rope;                       /* [ctx, head_dim]: cos of the first half's angles, then sin */
} Model;

/* The architecture with all its Params named and shaped; no storage yet. Checks the config (bad_input naming `where`). */
Model *model_new(const Config *config, const char *where);
/* Storage for weights in `real` (those whose w is NULL). */
void model_alloc_weights(Model *m);
/* Normal initialisation, every element a function of (seed, tensor name, index); then attention begins as a copier. */
void model_init(Model *m, uint32_t seed);
/* Freezes what `names` names: tensors or modules by any whole part of their names ("embed_tokens", "layers.0", "layers.*.mlp"), commas
 * between them. A name that matches nothing is refused, and so is freezing everything. */
void model_freeze(Model *m, const char *names);
/* Matrices that are held in 16 bits and are trained become `real`. */
void model_widen_trained(Model *m);
/* Gradient and moments for each Param that is not frozen. */
void model_alloc_training(Model *m, bool moments);
void model_free(Model *m);
size_t model_parameters(const Model *m);      /* without an adapter's */
size_t model_trainable(const Model *m);
/* The Linears of a block in file order; returns how many. */
enum { BLOCK_LINEARS = 7 };
size_t block_linears(Block *b, Linear **list);
Param *model_add_param(Model *m, char *name, int rank, size_t rows, size_t columns);
void param_free(Param *p);
/* Marks it, and gives back its gradient and moments. */
void param_freeze(Param *p);
Param *model_find(const Model *m, const char *name);

/* ---- batches: a ragged list of segments laid end to end; there is no padding ---- */

typedef struct {
    size_t row, length;               /* rows [row, row + length) of the batch */
    bool distilled;                   /* each of its tokens is held to the teacher's distribution */
} Segment;

typedef struct {
    size_t tokens, segment_count, token_room, segment_room;
    Segment *segments;
    int32_t *ids, *targets;           /* [tokens]; a target of -1 is not supervised */
    float *weights;                   /* [tokens]; 0: skipped by head and loss */
    uint64_t *keys;                   /* [tokens]; NULL: none, and no dropout */
    uint32_t seed;                    /* of dropout */
    uint64_t step;
} Batch;

/* Appends a segment; weights NULL: 1 each. Reuses the batch's memory after batch_clear. */
void batch_add(Batch *b, const int32_t *ids, const int32_t *targets, const float *weights, size_t length);
/* The keys of all rows from `first` on: the sample's number in the endless concatenation of epochs, and their place in the sample.
 * Dropout, which takes place only where a batch has keys, is a function of seed, step and key. */
void batch_key(Batch *b, size_t first, uint64_t sample);
/* Marks the segments from `first` on as distilled; and the number of tokens in segments so marked. */
void batch_distil(Batch *b, size_t first);
size_t batch_distilled(const Batch *b);
/* Appends segment i of another batch, with its keys, mark, seed and step. */
void batch_add_segment(Batch *b, const Batch *from, size_t i);
void batch_clear(Batch *b);
void batch_free(Batch *b);
/* Sum of the weights of supervised tokens. */
double batch_weight(const Batch *b);

/* ---- one forward and backward pass ---- */

/* What forward keeps for backward, and scratch, for at most `tokens` tokens. */
typedef struct Pass Pass;
Pass *pass_new(const Model *m, size_t tokens, bool backward, bool recompute);
void pass_free(Pass *p);
size_t pass_bytes(const Model *m, size_t tokens, bool backward, bool recompute);

/* Hidden states before the head; kept inside the pass. */
void model_forward(const Model *m, Pass *p, const Batch *b);
/* Logits [n, vocab] of the batch rows row .. row+n-1 of the last forward. */
void model_logits(const Model *m, const Pass *p, size_t row, size_t n, real *logits);
/* Of the last forward: -log p of each supervised token's target; 0 for the others. losses [tokens] */
void model_loss(const Model *m, Pass *p, const Batch *b, double *losses);
/* Forward, loss and backward of one micro-batch. scale: each token's gradient weight is weight * scale (1 / supervised tokens
 * of the whole batch). first: this micro-batch begins the step's gradient chains. After the last: model_finish_gradients.
 * Adds each supervised token's weight * -log p to *loss_sum, one double chain over the tokens. */
void model_step(Model *m, Pass *p, const Batch *b, double scale, bool first, double *loss_sum);
/* Distillation: from now on model_step adds the gradient of scale * Σ KL(teacher‖model) over the tokens of distilled segments (scale: weight /
 * their number in the whole batch), after the gradient of the token's own loss where it has one, and adds Σ KL to *kl_sum. forward: a pass of the
 * teacher without backward, with room for as many tokens. teacher m itself: m without its adapter. NULL: no more. */
void model_teach(Model *m, Pass *p, Model *teacher, Pass *forward, double scale, double *kl_sum);
size_t teacher_bytes(const Model *m, size_t tokens);   /* its room inside the pass */
/* ids: all input ids of the step's batch, over every micro-batch; before the first micro-batch. */
void model_begin_gradients(Model *m, Pass *p, const int32_t *ids, size_t count);
void model_finish_gradients(Model *m, Pass *p);

/* ---- decoding ---- */

typedef struct Cache Cache;           /* keys and values of one sequence, or of several that are decoded together */
Cache *cache_new(const Model *m, size_t ctx);
/* ctx: of each. */
Cache *cache_new_many(const Model *m, size_t ctx, size_t sequences);
size_t cache_bytes(const Model *m, size_t ctx);   /* of one sequence's keys and values */
void cache_free(Cache *c);
size_t cache_length(const Cache *c);  /* of the first sequence */
void cache_clear(Cache *c);
/* The first sequence keeps its first n tokens: what comes next is another continuation of them. */
void cache_cut(Cache *c, size_t n);
/* Appends n tokens; logits [n, vocab] of each, or of the last only when all is false. Bits equal the training forward's. */
void model_decode(const Model *m, Cache *c, const int32_t *ids, size_t n, bool all, real *logits);
/* Appends tokens to several sequences; logits [count, vocab] after the last token of each part. Who else is in the batch changes no bit. */
typedef struct {
    size_t sequence, count;
    const int32_t *ids;
} Continuation;
void model_decode_many(const Model *m, Cache *c, const Continuation *parts, size_t count, real *logits);

#endif
