/* sweep: what learning costs in forgetting: methods x rates x ranks, each trained by `train` itself, compared at matched learning.
 *
 * A cell is one setting. It is trained in stretches; after each stretch its newest checkpoint is read and measured:
 *
 *     learning      the new task's score, or the bits a byte saved on a new text, on the select half of its test items
 *     forgetting    mean drop of the suites that the base knows, on their report half; without such suites, bits a byte gained on the texts
 *
 * The first checkpoint whose learning reaches τ is where methods are compared; a cell without one is "not reached". Every method has the same
 * number of cells.
 *
 *     OUT/cells/NAME/          the run folder of a cell
 *     OUT/cells/NAME.json      its curve, under the SHA-256 of all that decides it: a cell that is there is not run again
 *     OUT/frontier.json        all curves: what report draws
 *     OUT/frontier.csv         a line for each cell
 */
#ifndef SWEEP_H
#define SWEEP_H

#include "measure.h"

/* spec: the JSON file (docs/cli.md says what stands in it). resume: OUT is there, and its finished cells are kept. */
void sweep_run(const char *spec, const char *out, bool resume, bool json);

#endif
