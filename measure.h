/* measure: what one model makes of one suite, item by item, so that two models can be compared in pairs.
 *
 *     text    documents of a held-out text            bits a byte
 *     task    rows with a right answer                exact match of the greedy answer; beside it what may still be known when the form is lost:
 *                                                     log p of the right answer, the right answer among distractors, whether the form is kept
 *     choice  rows {"query","choices","gold"}         the likeliest choice
 *
 * Distractors are the right answers of other items of the same suite, drawn by (seed, item): of those with the right answer's form (as many
 * words; or a number like it) first, of all others when these are too few. The right answer is chosen when its log p, end token and all, is the greatest.
 * Form kept: the answer ends by itself (by an end token or a line end) and has the right answer's form.
 *
 * Each suite has two halves: the items of even number are for choosing settings, those of odd number for reporting.
 */
#ifndef MEASURE_H
#define MEASURE_H

#include "dataset.h"
#include "score.h"

typedef enum { MEASURE_TEXT, MEASURE_TASK, MEASURE_CHOICE } MeasureKind;
typedef enum { HALF_ALL, HALF_SELECT, HALF_REPORT } Half;

enum { DISTRACTORS = 3 };

typedef struct {
    char *name;
    MeasureKind kind;
    size_t count;                     /* items: documents or rows of the half */
    double chance;                    /* of tasks; NaN: of texts */
    char hash[65];                    /* of the file */
    Tokenizer *tok;
    /* texts */
    Texts texts;
    Corpus corpus;                    /* of all documents */
    double *bytes;                    /* [count] targets' bytes of each document */
    /* tasks */
    Suite suite;
    ScoreOptions scoring;
    uint32_t *items;                  /* [count] rows or documents of the half */
    uint32_t *distractors;            /* [count * DISTRACTORS] items whose answers they are; of a task */
    size_t *distractor_count;         /* [count] */
} Measure;

/* chance: NaN takes that of the world.json beside the file, or else 0. Refuses a suite without an item in the half. */
Measure measure_text(const char *path, const char *name, Half half, Tokenizer *tok, size_t ctx);
Measure measure_task(const char *path, const char *name, Half half, Tokenizer *tok, const char *template_name, const char *template_dir, double chance,
                     uint32_t seed);
void measure_free(Measure *m);

/* Arrays [count]; NULL where the kind has none. */
typedef struct {
    double *score;                    /* 1 right, 0 wrong; of a text: bits of the targets that have bytes */
    double *likelihood;               /* log p of the right answer, in nats */
    double *choice, *form;            /* 1 or 0 */
    char **answers;
} Measured;
/* all false: the score alone. */
Measured measure_model(Measure *s, const Model *m, bool all, Tick *tick);
void measured_free(Measured *r, size_t count);

/* KL(base‖tuned), nats a token: of a text at every position, of a task at every position of what the model is given to answer; of the first
 * `most` tokens, whole items (0: all). toggle: see add_kl. */
double measure_kl(Measure *s, Model *base, Model *tuned, bool toggle, size_t most, size_t *tokens);

/* ---- two models on one suite ---- */

typedef struct {
    double value, low, high;          /* 95 % */
} Interval;
/* The suite's score of one model: a share (Wilson's interval), or bits a byte over all documents (by the ratio's residuals). */
Interval measured_score(const Measure *s, const double *score);
/* after - before, paired over the items. */
Interval measured_change(const Measure *s, const double *before, const double *after);
Interval mean_change(const double *before, const double *after, size_t count, bool shares);

#endif
