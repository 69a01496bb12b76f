/* score: how well a model answers a suite: each item is right (1) or wrong (0), by one of these measures.
 *
 *     exact      the answer is the right one; white space at both ends does not count
 *     contains   the right one stands somewhere in the answer
 *     regex      the row's right answer, or one expression for all rows, is a regular expression that is found in the answer
 *     json       the answer is one JSON value, equal to the right one's; valid_json: it is one JSON value
 *     choice     log p of each choice (likelihood.h): acc, acc_norm, acc_bytes
 */
#ifndef SCORE_H
#define SCORE_H

#include "likelihood.h"
#include "regex.h"

typedef enum { SCORE_EXACT, SCORE_CONTAINS, SCORE_REGEX, SCORE_JSON, SCORE_CHOICE, SCORE_KINDS } ScoreKind;
extern const char *const score_names[SCORE_KINDS];

typedef struct {
    ScoreKind kind;
    const Regex *regex;               /* SCORE_REGEX: of all rows; NULL: each row's answer is one */
    const char *const *stops;         /* strings that end an answer */
    size_t stop_count;
} ScoreOptions;

enum { MEASURES = 3 };
typedef struct {
    size_t count, measures;           /* items; measures of each */
    const char *names[MEASURES];      /* the first one is the score */
    double *values[MEASURES];         /* [count]: 1 or 0 */
    Buf *texts;                       /* [count]: the answers; NULL with choices */
    StopReason *reasons;
    bool *cut;                        /* its prompt was */
    Choices choices;
} Scores;

/* Refuses rows that cannot be scored so, before anything is computed. Sets what the suite needs to know: when answers end. */
void score_check(Suite *s, const ScoreOptions *o);
/* Greedy answers, scored. */
Scores score_suite(Suite *s, const Model *m, const ScoreOptions *o, Tick *tick);
void scores_free(Scores *s);
/* Whether an answer is right; *valid: with json, whether it is JSON at all. `where` stands in messages about the right answer. */
bool score_answer(const ScoreOptions *o, const Buf *answer, const Buf *right, const char *where, bool *valid);

#endif
