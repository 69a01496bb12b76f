/* likelihood: how likely a model finds what is right, without writing anything. Every sum is one double chain over the tokens in order. */
#ifndef LIKELIHOOD_H
#define LIKELIHOOD_H

#include "suite.h"

/* -log p of each item's right answer, in nats, and its tokens (tokens may be NULL): what training would learn of the row, the end token
 * with it. Rows of choices: of the right choice, as below. */
void suite_likelihood(Suite *s, const Model *m, double *nats, size_t *tokens);

/* Rows of choices, as lm-evaluation-harness scores them (0.4: models/huggingface.py, api/task.py):
 *
 *     context = query, continuation = delimiter + choice                    white space at the context's end goes to the continuation
 *     whole = ids(context + continuation), tokens = whole[len(ids(context)) …]      BOS as the tokenizer has it
 *     log p(choice) = Σ log p(token | all before)                           of context and continuation the last ctx + 1 ids
 *     acc: the largest log p;  acc_norm: of log p / characters of the choice;  acc_bytes: of log p / its bytes; the first of equal ones
 *
 * An empty context is the tokenizer's BOS, or else EOS. */
typedef struct {
    size_t count;                     /* items */
    size_t *first;                    /* [count + 1]: where an item's choices begin in log_p */
    double *log_p;
    double *acc, *acc_norm, *acc_bytes;   /* [count]: 1 right, 0 wrong */
} Choices;
Choices suite_choices(Suite *s, const Model *m, Tick *tick);
void choices_free(Choices *c);

/* Segments in, sums out: what both are made of. sums: the caller's, of all owners; complete after tally_end. */
typedef struct Tally Tally;
Tally *tally_begin(const Model *m, double *sums);
/* Adds -log p of the labels that are not -1 to the owner's sum. ids, labels [count]; count - 1 pairs, at most the model's context. */
void tally_add(Tally *t, size_t owner, const int32_t *ids, const int32_t *labels, size_t count);
void tally_end(Tally *t);

#endif
