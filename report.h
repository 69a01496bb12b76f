/* report: what runs and the forgetting evaluator wrote, as one HTML file that needs nothing else: no script, no font, no picture from elsewhere.
 *
 *     run folder (run.json, log.jsonl)      -> loss, learning rate, gradient norm, samples, settings, hashes
 *     forget's result, a sweep's frontier   -> before and after, change by suite, R matrix, weights, learning against forgetting
 *
 * The same files give the same bytes.
 */
#ifndef REPORT_H
#define REPORT_H

#include "json.h"

/* ---- report_log.c: what a run folder says ---- */

typedef struct {
    size_t step;
    char *text;
    size_t length;
} LogSample;

typedef struct {
    const char *path;
    const char *name;                 /* the folder's, or its path where two have one name */
    JsonDoc *settings;                /* run.json */
    char hash[65];                    /* of the folder */
    size_t steps, evals, sample_count, tokens;
    double *step, *loss, *lr, *norm;              /* [steps] */
    double *eval_step, *eval_loss, *eval_bpb;     /* [evals]; NaN where there is none */
    LogSample *samples;
} RunLog;

double not_known(void);                           /* NaN */
/* A folder with a run.json. A log without lines, or none, is a run of no steps; a last line that was cut off is left out. */
RunLog run_log_read(const char *path);
void run_log_free(RunLog *r);

/* ---- report.c, report_results.c ---- */

typedef struct {
    const char *title;                /* NULL: names of the runs */
    double floor;                     /* entropy of the source in bits a byte; NaN: not known */
    RunLog *runs;
    size_t run_count;
    JsonDoc **results;                /* files of forget */
    size_t result_count;
    bool seconds;                     /* a sweep's seconds, too: the page is then of one machine */
} Report;

/* The whole page. */
Buf report_page(const Report *r);
/* The sections of one result file, `number` making its ids unique in the page; bad_input when it is neither a forgetting nor a frontier. A tuned
 * model that is one of the report's runs keeps that run's colour. */
void report_result(Buf *out, const Report *report, const JsonDoc *doc, size_t number);

void put_style(Buf *out);              /* report_style.c */

/* Pieces that both use. */
void put_format_text(Buf *out, const char *before, const char *text, const char *after);   /* text is escaped */
void begin_table(Buf *out, const char *caption);
void put_head(Buf *out, const char *const *names, size_t count);                           /* the first column's name, then the others */
void put_row_head(Buf *out, const char *name);
void end_table(Buf *out);

#endif
