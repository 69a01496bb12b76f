/* metric: what training asks of rows it does not learn from: the score that chooses the best step, and the report of a test set. */
#ifndef METRIC_H
#define METRIC_H

#include "score.h"

typedef struct {
    const char *name;                 /* "exact" … */
    Suite suite;                      /* shares rows and encoder with the examples */
    ScoreOptions options;
    uint32_t *items;
} Metric;

/* --metric's name; NULL for "loss". */
Metric *metric_new(const char *name, const Examples *e, Tokenizer *tok);
/* The share of right answers. */
/* Bytes that a measurement takes: keys and values of the answers that are written together. */
size_t metric_bytes(const Model *m, const Examples *e);
double metric_measure(Metric *metric, const Model *m);
/* Loss, and with a metric (NULL: none) its score, of a test set on one result line and on one line of the run's log. */
void metric_report(Metric *metric, const Model *m, const Examples *e, bool json, JsonWriter *log);

#endif
