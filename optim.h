/* optim: AdamW, learning-rate schedules, the gradient norm. Works on the model's Params and on nothing else. */
#ifndef OPTIM_H
#define OPTIM_H

#include "model.h"

typedef enum { SCHEDULE_CONSTANT, SCHEDULE_LINEAR, SCHEDULE_COSINE, SCHEDULE_WSD } Schedule;

typedef struct {
    double lr, min_lr, beta1, beta2, eps, weight_decay, clip;   /* clip 0: no clipping */
    Schedule schedule;
    size_t steps, warmup;
} OptimOptions;

/* Learning rate of update t (from 0). */
double optim_lr(const OptimOptions *o, size_t t);
/* L2 norm of all gradients: exact squares in double, blocks of 4,096 elements in file layout, eight lanes and a fixed tree each,
 * block sums added in registry order. */
double optim_grad_norm(const Model *m);
/* The first Param whose gradient is not finite, or NULL. */
const Param *optim_non_finite(const Model *m);
/* One update, t from 0, of every Param that has a gradient; clips by the norm just measured. lr is times the Param's lr_ratio (LoRA+).
 *
 *     g *= min(1, clip / (norm + 1e-6))
 *     m  = beta1 m + (1-beta1) g          v = beta2 v + (1-beta2) g²
 *     w *= 1 - lr decay                   (matrices only)
 *     w -= lr/(1-beta1^(t+1)) · m / (sqrt(v) / sqrt(1-beta2^(t+1)) + eps)
 *
 * Scalars in double, each rounded once; the rest in `real`, in this order. Ref: Loshchilov & Hutter 2019. */
void optim_update(Model *m, const OptimOptions *o, size_t t, double norm);

#endif
