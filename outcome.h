/* outcome: everything that forget found, and its files:
 *
 *     OUT/forget.json          suites before and after with intervals, drift, distances, the R matrix: what report draws
 *     OUT/forget.csv           a line for each suite and model
 *     OUT/items-SUITE.jsonl    every item of a suite: what the base and each model made of it
 *
 * Equal inputs give equal bytes.
 */
#ifndef OUTCOME_H
#define OUTCOME_H

#include "forget.h"
#include "measure.h"

typedef struct {
    const char *name, *path;
    bool adapter;
    char hash[65];                    /* of its tensors */
    Measured *measured;               /* [suites] */
    double *kl;                       /* [suites] nats a token; NaN: not measured */
    PartDistance *parts;
    size_t part_count;
} TunedModel;

/* relearn.h */
enum { RELEARN_POINTS = 32 };
typedef struct {
    size_t suite, model, count;
    size_t rows[RELEARN_POINTS];
    double scores[RELEARN_POINTS];
    size_t back;                      /* the fewest rows after which the score's interval reaches the base's score; SIZE_MAX: none of them */
} Relearned;

typedef struct {
    const char *base;                 /* as typed */
    char base_hash[65];
    Half half;
    uint32_t seed;
    size_t kl_tokens;
    Measure *suites;
    size_t suite_count;
    Measured *before;                 /* [suites] of the base */
    TunedModel *tuned;                /* in the order given; a joint one last */
    size_t tuned_count;
    size_t *tasks;                    /* [task_count] suites of a sequence: model i was trained through task i; count 0: none */
    size_t task_count;
    Relearned *relearned;
    size_t relearned_count;
    bool joint;                       /* the last model was trained on all tasks together */
} Outcome;

/* Whether the suite's score before says anything: its interval lies above chance. Always of texts. */
bool suite_known(const Outcome *o, size_t suite);
/* R, b and joint of the sequence, of texts with the sign flipped; matrices of the caller: R [T*T], before [T], joint [T]. Their metrics. */
SequenceScores outcome_sequence(const Outcome *o, double *R, double *before, double *joint);

Buf outcome_json(const Outcome *o);
Buf outcome_csv(const Outcome *o);
Buf outcome_items(const Outcome *o, size_t suite);
/* All of them into a folder that is there. */
void outcome_write(const Outcome *o, const char *dir);
/* What is printed: a line for each suite and model, and one for the sequence. */
void outcome_print(const Outcome *o, bool json);

#endif
