/* linear: a tensor with everything known about it (Param), and the layer most of them belong to (Linear), with
 * LoRA's arithmetic inside. */
#ifndef LINEAR_H
#define LINEAR_H

#include "base.h"
#include "matmul.h"

/* One Hugging Face tensor. Facts about a tensor live here and nowhere else: loading, saving, counting, clipping,
 * AdamW, freezing, printing and the gradient check all walk the model's list of these. */
typedef struct {
    char *name;          /* in the file: "model.layers.0.self_attn.q_proj.weight" */
    int rank;            /* 1 or 2 */
    size_t shape[2];     /* in the file; shape[1] = 1 when rank is 1 */
    bool conv1d;         /* a matrix stored [in, out], as GPT-2's Conv1D is; else [out, in] */
    Stored stored;       /* how w is held */
    void *w;             /* file layout */
    real *g, *m, *v;     /* gradient and AdamW's moments, file layout; NULL: frozen */
    double *g_sum;       /* rank 1: the gradient's chain in double, rounded into g once a step */
    bool decay;          /* weight decay applies: tensors of two dimensions */
    real init_std;       /* normal initialisation; 0: see init_one */
    bool init_one;       /* gains begin at 1, everything else without a std at 0 */
    bool frozen;         /* not trained: gets no gradient and no moments */
    bool adapter;        /* belongs into the adapter's file, not into the model's */
    double lr_ratio;     /* times the learning rate (LoRA+); 0: 1 */
} Param;

static inline size_t param_size(const Param *p) { return p->shape[0] * p->shape[1]; }
static inline const real *param_real(const Param *p) { return (const real *)p->w; }

/* y += scale * (x Aᵀ) Bᵀ; a is (rank, in), b is (out, rank). */
typedef struct {
    Param *a, *b;
    size_t rank;
    real scale;
    Param *magnitude;    /* DoRA's m [out]; NULL: plain LoRA */
    real *norm;          /* DoRA's n [out]: of the rows of W + scale·B A; a constant between two updates */
    uint32_t drop_below; /* dropout p·2^24, rounded up; 0: none */
    real kept_scale;     /* 1/(1-p) */
    uint64_t name;       /* of the Linear, hashed: dropout depends on it */
} Lora;

typedef struct {
    Param *w, *b;        /* b may be NULL */
    Lora *lora;          /* NULL: none */
    size_t in, out;
} Linear;

/* What     y = x Wᵀ + b, then the adapter's chain continues: y += s (x Aᵀ) Bᵀ
 * Shapes   x [N, in] with row stride ldx; y [N, out] with row stride ldy; scratch [N, rank] when there is an adapter
 * Backward dx = dy W,  dW += dyᵀ x,  db += Σ dy;  with u = s x Aᵀ, v = s dy B:  dB += dyᵀ u,  dA += vᵀ x,  dx += v A.
 *          The scale multiplies u and v, token by token, never a sum over tokens: a micro-batch boundary can then not be seen.
 * Saved    nothing: u is computed again
 * Bits     products: one chain per element; the bias is added with one rounding; gradients of W, A, B are chains over tokens
 *          which the first micro-batch of a step begins and the others continue; db is a double chain (g_sum)
 * Cost     2 N in out flops forward, twice that backward; the adapter 2 N rank (in + out)
 * Ref      Hu et al. 2021, equation 3 */
void linear_forward(real *y, size_t ldy, const real *x, size_t ldx, const Linear *l, size_t N, real *scratch);
/* The parts of backward, because q, k and v share one dx: base terms of all of them first, adapters after.
 * Parameters whose g is NULL are frozen: their products are not computed. start: BEGIN for the first micro-batch of a step. */
void linear_backward_dx(real *dx, size_t ldx, const real *dy, size_t ldy, const Linear *l, size_t N, Start start);
void linear_backward_weights(const real *dy, size_t ldy, const real *x, size_t ldx, Linear *l, size_t N, Start step_start);
/* Adds the adapter's dx (dx may be NULL) and its weights' gradients. scratch [2, N, rank]. */
void linear_backward_lora(real *dx, size_t lddx, const real *dy, size_t ldy, const real *x, size_t ldx,
                          Linear *l, size_t N, Start step_start, real *scratch);

/* ---- what training may add to an adapter: dropout and DoRA ---- */

/* Room for it in one pass, and the circumstances of a batch. */
typedef struct {
    real *uv;                      /* [2, N, rank] */
    real *x;                       /* dropout: what the adapter sees of its input, [N, in] */
    unsigned char *kept;           /* dropout: the features kept, [N, in] */
    real *dz;                      /* DoRA: [N, width of dy] */
    const uint64_t *keys;          /* [N]; NULL: no dropout now */
    uint32_t seed;
    uint64_t step;
} Adapting;

/* What     dropout: the adapter, not the base, sees x' = x·keep/(1-p), keep a function of (seed, step, Linear, key, feature)
 *          DoRA:    y = c z + b with z = x Wᵀ + s (x' Aᵀ) Bᵀ, c = m/n
 * Backward dropout: dx continues with v A / (1-p) at the features kept, and is left as it is at the others
 *          DoRA:    dm = Σ dy z / n;  dz = c dy takes dy's place for dx, dA, dB (not for db)
 * Saved    nothing: the mask and z are computed again
 * Bits     a Linear without either has those of linear_forward and linear_backward_lora
 * Ref      Liu et al. 2024 (DoRA), section 4.3: n is a constant */
void adapted_forward(real *y, size_t ldy, const real *x, size_t ldx, const Linear *l, size_t N, const Adapting *t);
/* Adds to dm's chain and leaves dz in dz (row stride ldy): for Linears with DoRA. */
void dora_backward(real *dz, const real *dy, size_t ldy, const real *x, size_t ldx, Linear *l, size_t N, const Adapting *t);
void adapted_backward(real *dx, size_t lddx, const real *dy, size_t ldy, const real *x, size_t ldx,
                      Linear *l, size_t N, Start step_start, const Adapting *t);

/* g_sum (of all rank 1 parameters) += Σ over tokens of dy, each column a double chain. */
void bias_backward(double *sum, const real *dy, size_t ldy, size_t N, size_t C);

#endif
