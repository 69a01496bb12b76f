/* merge: between two sets of weights: how far apart they compute, and what lies between them. An adapter's way into the weights is
 * lora_merge (lora.h). */
#ifndef MERGE_H
#define MERGE_H

#include "model.h"

/* Of all tokens of a batch. */
typedef struct {
    double difference;                /* greatest |logit of a - logit of b|; not finite as soon as one is not */
    double largest;                   /* greatest |logit of a| */
    size_t tokens, agreed;            /* tokens after which both find the same id likeliest (of equal ones the first) */
} Apart;

/* a and b have one vocabulary and one context. */
Apart models_apart(const Model *a, const Model *b, const Batch *batch);

/* w of base += part (w of tuned - w of base), in double, rounded once: 0 leaves base, 1 is tuned. bad_input, naming the paths, unless they are
 * the same architecture. All weights in `real`. */
void model_interpolate(Model *base, const Model *tuned, double part, const char *base_path, const char *tuned_path);

#endif
