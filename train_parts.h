/* train_parts: one step of training, between train.c, which keeps what it does, and trial.c, which does not. */
#ifndef TRAIN_PARTS_H
#define TRAIN_PARTS_H

#include "train.h"

typedef struct {
    Training *t;
    Pass *pass, *teacher;             /* teacher NULL: no distillation */
    Order order, replayed;
    Batch batch, part;
    size_t *first_segment;            /* [batch + 1] of each sample */
    size_t new_tokens;                /* of the batch: those that are not replayed */
    double kl, penalty;               /* of the last step: mean over the distilled tokens; and what was added to the loss by penalties */
} Loop;

Loop loop_begin(Training *t);
void loop_end(Loop *l);
/* Gradients of step k's batch; the mean loss before the update. *weight: its supervised tokens. */
double loop_gradients(Loop *l, size_t k, double *weight);

#endif
