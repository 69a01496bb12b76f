/* remedy: what keeps tuning from forgetting, as flags of train: replay, self-replay, L2-SP, EWC, distillation to the base. */
#ifndef REMEDY_H
#define REMEDY_H

#include "fisher.h"
#include "opening.h"
#include "material.h"
#include "train.h"

typedef struct {
    const char *replay, *ewc, *kl_on;
    double replay_ratio, l2_sp, ewc_lambda, kl_base;
    size_t self_replay, self_tokens;
} RemedyFlags;

#define REMEDY_FLAGS(o) \
    {"--replay", FLAG_TEXT, EXECUTION, &(o).replay, 0, 0, "FILE", "rows or text of earlier tasks, mixed into every batch", false}, \
    {"--replay-ratio", FLAG_REAL, DEFINING, &(o).replay_ratio, 0, 0.95, "X", "share of replay among all samples", false}, \
    {"--self-replay", FLAG_SIZE, DEFINING, &(o).self_replay, 0, 1000000, "N", "replay N texts that the model writes before it is tuned", false}, \
    {"--self-replay-tokens", FLAG_SIZE, DEFINING, &(o).self_tokens, 1, 1048576, "N", "longest of these texts", false}, \
    {"--l2-sp", FLAG_REAL, DEFINING, &(o).l2_sp, 0, 1e9, "LAMBDA", "adds LAMBDA/2 times the squared change of the weights to the loss", false}, \
    {"--ewc", FLAG_TEXT, EXECUTION, &(o).ewc, 0, 0, "FILE", "the same, each weight by its Fisher information: from check fisher", false}, \
    {"--ewc-lambda", FLAG_REAL, DEFINING, &(o).ewc_lambda, 0, 1e12, "LAMBDA", "weight of --ewc", false}, \
    {"--kl-base", FLAG_REAL, DEFINING, &(o).kl_base, 0, 1e6, "WEIGHT", "adds WEIGHT times KL(base, model), the mean over tokens", false}, \
    {"--kl-on", FLAG_TEXT, DEFINING, &(o).kl_on, 0, 0, "NAME", "tokens it is taken at: new or replay; replay if there is one", false}

/* What was read for them, for run.json. */
typedef struct {
    char replay_hash[65], ewc_hash[65];
    Ids *texts;                       /* self-replay */
    size_t text_count;
} RemedyInputs;

/* Checks the flags, reads the files, writes the texts of self-replay, keeps the anchor and the base: before anything is trained or resumed.
 * source: how rows are read. */
RemedyInputs remedies_open(Remedies *r, RemedyFlags *f, const Command *c, const ModelFlags *flags, Model *m, Tokenizer *tok, size_t ctx, LossKind loss,
                           const char *template_name, const char *system, uint32_t seed);
/* For a plan, of an outline: the teacher as an outline, no files; returns the bytes of anchor and Fisher information. */
size_t remedies_outline(Remedies *r, const RemedyFlags *f, const ModelFlags *flags, Model *m);
/* self-replay.jsonl: rows of input_ids. */
void remedies_save(const RemedyInputs *in, const char *out);

#endif
