/* sweep: what learning costs in forgetting: methods x rates x strengths, each trained by `train` itself, compared at matched learning.
 *
 * A cell is one setting. It is trained in stretches; after each its checkpoint is measured, on the select half and on the report half:
 *
 *     learning      the new task's score, or the bits a byte saved on a new text
 *     forgetting    mean drop of the suites that the base knows; without such suites, bits a byte gained on the texts
 *
 * Methods are compared where learning, on the select half, first reaches τ. Training is deterministic and goes on from any checkpoint to the bit,
 * so when the first measured point at τ lies more than one point above it (0.01 of a score; of a text τ/100), the run between that point and
 * the one below τ is halved again and again, measuring learning alone, until a checkpoint is within a point or the two are one step apart.
 * A cell whose curve never reaches τ is "not reached". Every method has the same number of cells; of those that reach τ the one that forgets
 * least on the select half is chosen, and its report half is what the method is known by.
 *
 *     OUT/cells/NAME/          the run folder of a cell, as the search left it; checkpoints/matched: the weights that were compared
 *     OUT/cells/NAME.json      all its points, under the SHA-256 of all that decides them: not of τ. A cell that is there is not run again;
 *                              another τ trains only what lies between two of its points
 *     OUT/frontier.json        all curves, and where each was matched: what report draws
 *     OUT/frontier.csv         a line for each cell
 *     OUT/timing.jsonl         seconds of training up to there: the one file that differs between two runs
 */
#ifndef SWEEP_H
#define SWEEP_H

#include <stdbool.h>

/* spec: the JSON file (docs/forgetting.md says what stands in it). resume: OUT is there, and its finished cells are kept. */
void sweep_run(const char *spec, const char *out, bool resume, bool json);

#endif
