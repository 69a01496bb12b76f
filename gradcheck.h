/* gradcheck: analytic gradients against central differences, in the double build. */
#ifndef GRADCHECK_H
#define GRADCHECK_H

#include "model.h"

/* Loss over a batch: sum of weight * -log p over sum of weights. */
double batch_loss(const Model *m, Pass *p, const Batch *b, double *losses);
/* Every gradient of batch_loss, the batch being cut into micro-batches of at most `samples` segments. Returns the loss. */
double batch_gradients(Model *m, Pass *p, const Batch *b, size_t samples);
/* ‖numeric - analytic‖ / ‖numeric‖ over up to `elements` elements of a Param whose gradient stands in g; five-point differences. */
double gradcheck_param(Model *m, Pass *p, const Batch *b, Param *param, size_t elements, double *losses);
/* The same for any loss. */
double gradcheck_loss(Model *m, Param *param, size_t elements, double (*loss)(void *), void *context);

#endif
