/* forget: what tuning cost. The arithmetic of it: scores of a sequence of tasks, drift of the answers, distance of the weights.
 *
 * The baseline is always the base model itself: the weights before tuning, or the same weights with the adapter off. A model that was not
 * tuned gives exactly 0 everywhere.
 */
#ifndef FORGET_H
#define FORGET_H

#include "dataset.h"
#include "stats.h"

/* ---- a sequence of tasks ----
 *
 * R[i][j] = score on task j after training through task i, i and j from 1 to T; b[j] = score before any training. More is better: callers flip
 * the sign of bits per byte.
 *
 *     ACC = 1/T Σ_j R[T][j]                                       what is there at the end
 *     BWT = 1/(T-1) Σ_{i<T} (R[T][i] - R[i][i])                   what later tasks did to earlier ones
 *     FWT = 1/(T-1) Σ_{i>1} (R[i-1][i] - b[i])                    what earlier tasks did for later ones
 *     F   = 1/(T-1) Σ_{j<T} (max_{l<T} R[l][j] - R[T][j])         forgetting
 *     LA  = 1/T Σ_i R[i][i]                                       learning accuracy
 *     I   = 1/T Σ_i (joint[i] - R[i][i])                          intransigence: what joint training reaches beyond that
 *
 * Lopez-Paz and Ranzato 2017 (ACC, BWT, FWT: their code divides by T in places, here as in the paper by T-1), Chaudhry et al. 2018 (F, I, LA).
 * With one task BWT, FWT and F are not known (NaN); so is I without joint training. */
typedef struct {
    double acc, bwt, fwt, forgetting, learning, intransigence;
} SequenceScores;
/* R [T*T] row by row; before, joint [T]; either may be NULL. */
SequenceScores sequence_scores(const double *R, const double *before, const double *joint, size_t T);

/* ---- one suite ---- */

/* (after - chance) / (before - chance): 1 is kept whole, 0 is chance. NaN when before does not exceed chance. */
double kept_above_chance(double before, double after, double chance);

/* ---- drift of the answers ---- */

/* Σ_v q_v log(q_v / p_v) of two rows of logits [V], softmaxes of base (q) and tuned (p), in nats: in double, exponentials of double, the sum one chain over v.
 * Equal rows give exactly 0, others never less. */
double kl_logits(const real *base, const real *tuned, size_t V);
/* Adds KL(base‖tuned) of every supervised token of the batch to *sum, one chain over the tokens, and their number to *tokens. The passes have
 * room for the batch. With `toggle` base and tuned are one model, whose adapter is switched off for q. */
void add_kl(Model *base, Pass *base_pass, Model *tuned, Pass *tuned_pass, const Batch *b, bool toggle, double *sum, size_t *tokens);

/* ---- distance of the weights ---- */

typedef struct {
    char name[32];                    /* "embedding", "layer 0", …, "final norm", "head" */
    int layer;                        /* -1: none */
    double distance;                  /* ‖tuned - base‖ over all the part's tensors */
    double norm;                      /* ‖base‖ */
} PartDistance;
/* The parts in file order, *count of them; free it. Both of one architecture, else bad_input names the paths. With `toggle` they are one
 * model with an adapter, whose change of each Linear is taken, and of trained rows. */
PartDistance *weight_distances(Model *base, Model *tuned, bool toggle, const char *base_path, const char *tuned_path, size_t *count);

#endif
