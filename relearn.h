/* relearn: how few old examples bring a lost task back. What tuning hid comes back after a handful of them; what it erased has to be learned
 * anew.
 *
 * For each model and each suite of rows with answers that the base knows: `train`, beginning at the tuned model, on the first 1, 2, 4, … N rows of the
 * suite's select half, ten epochs, nothing held out, its defaults for the rest (an adapter is trained on as an adapter); then the score of
 * the report half.
 */
#ifndef RELEARN_H
#define RELEARN_H

#include "outcome.h"

/* Fills o->relearned. paths: of the suites' files; most: N, at most 2^30; the runs stand in DIR/relearn. The report half must be what was measured. */
void relearn(Outcome *o, Model *base, const char *base_path, const char *const *paths, size_t most, const char *dir);

#endif
