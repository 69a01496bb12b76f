/* penalty: what holds tuning near where it began.
 *
 *     L2-SP   λ/2 Σ (w - w*)²               Li et al. 2018
 *     EWC     λ/2 Σ F (w - w*)²             Kirkpatrick et al. 2017; F: fisher.h
 *
 * w* is the anchor, the weights (and the adapter) that tuning began with. With LoRA both act on the effective weight's change since then,
 * ΔW = s B A - s B*A* (starred: the adapter at the anchor; a new one has B* = 0), never on A and B, for at B = 0 the Fisher of A is zero:
 *
 *     G = c ⊙ ΔW     dB += s G A'     dA += s B'G     with c = λ, or λF
 */
#ifndef PENALTY_H
#define PENALTY_H

#include "model.h"

typedef struct Penalty Penalty;

/* The anchor is the model as it is now. fisher: of each of the model's own Params in its order, file layout (NULL where the Param is not in
 * it), or NULL: no EWC; it stays the caller's. bad_input with DoRA, whose change of the weights is another. */
Penalty *penalty_new(const Model *m, double l2_sp, double ewc, real *const *fisher);
void penalty_free(Penalty *p);
/* Once a step, after model_finish_gradients: adds the penalty's gradient to the gradients, and returns the penalty. A Param's sum goes on in
 * its own gradient's chain; the penalty itself is summed in double, in blocks of fixed size in the registry's order. */
double penalty_add(const Penalty *p, Model *m);
size_t penalty_bytes(const Penalty *p);

#endif
