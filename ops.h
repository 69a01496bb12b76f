/* ops: the layers but attention and the products. Pure functions: outputs, inputs, weights, sizes; nothing allocated.
 * Forward writes (=), backward adds (+=) unless its comment says otherwise. dX is the gradient of X. Parameter gradients of rank 1
 * are double chains over tokens. B, T, C, V, F, D are the field's letters; N is the tokens of all segments of a batch. */
#ifndef OPS_H
#define OPS_H

#include "fp.h"

#include <stdbool.h>
#include <stddef.h>

/* Row sum, by the rule of simd.h: for tests and for rows that have no function of their own. */
real row_sum(const real *x, size_t n);
/* Row dot product by the same rule, each lane a chain of fma. */
real row_dot(const real *x, const real *y, size_t n);

/* y, x [N,C]; mean, rstd [N]; gain, bias [C]. */
void layernorm_forward(real *y, real *mean, real *rstd, const real *x, const real *gain, const real *bias, size_t N, size_t C, real eps);
void layernorm_backward(real *dx, double *dgain, double *dbias, const real *dy, const real *x, const real *gain, const real *mean, const real *rstd,
                        size_t N, size_t C);
/* y from the statistics that forward saved, the same bits. mean NULL: RMSNorm. */
void norm_again(real *y, const real *mean, const real *rstd, const real *x, const real *gain, const real *bias, size_t N, size_t C);

void rmsnorm_forward(real *y, real *rstd, const real *x, const real *gain, size_t N, size_t C, real eps);
void rmsnorm_backward(real *dx, double *dgain, const real *dy, const real *x, const real *gain, const real *rstd, size_t N, size_t C);

/* Norms of heads: RMSNorm of each head of D values by one gain [D], in place, x [N, heads, D] with row stride ld.
 * raw [N, heads, D], rstd [N, heads]: kept for backward. */
void headnorm_forward(real *x, size_t ld, real *raw, real *rstd, const real *gain, size_t N, size_t heads, size_t D, real eps);
/* d: gradient of the output in, of the input out (=), row stride ld. dy [N, heads, D] is scratch; dgain NULL: frozen. */
void headnorm_backward(real *d, size_t ld, double *dgain, real *dy, const real *raw, const real *rstd, const real *gain, size_t N, size_t heads, size_t D);

/* Turns heads of D values in place, [N, heads, D] with row stride ld; row n stands at position[n]; table [ctx, D] as model.h says.
 * inverse: by the opposite angle, which is backward. */
void rope_rotate(real *x, size_t ld, const real *table, const size_t *position, size_t N, size_t heads, size_t D, bool inverse);
/* table [ctx, D]: of each position D/2 cosines, then D/2 sines. inv_freq [D/2]. */
void rope_table(real *table, const float *inv_freq, size_t ctx, size_t D);

/* y, x [n] */
void gelu_forward(real *y, const real *x, size_t n);
void gelu_backward(real *dx, const real *dy, const real *x, size_t n);           /* writes (=) */

/* y [N,F]; in [N,2F]: gate | up */
void swiglu_forward(real *y, const real *in, size_t N, size_t F);
void swiglu_backward(real *din, const real *dy, const real *in, size_t N, size_t F);   /* writes (=) */

/* y = a + b; y may be a. */
void add(real *y, const real *a, const real *b, size_t n);

/* One row of logits in, its gradient out, in place: the rule that fills a block of dlogits. Returns -log softmax(logits)[target]. */
double cross_entropy_row(real *logits, size_t V, size_t target, real weight);
/* The loss alone. */
double cross_entropy_loss(const real *logits, size_t V, size_t target);

/* dz += weight times the gradient of KL(teacher‖model) of one row; z: the model's logits, teacher: the teacher's. Returns the KL in nats. */
double kl_row(real *dz, const real *z, const real *teacher, size_t V, real weight);

#endif
