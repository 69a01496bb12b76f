#include "metric.h"

#include "eval.h"
#include "stats.h"

#include <stdio.h>
#include <string.h>

enum { REPORT_TOKENS = 512 };         /* at a time: less than training had room for */

Metric *metric_new(const char *name, const Examples *e, Tokenizer *tok) {
    static const char *const names[] = {"loss", "exact", "contains", "regex", "json"};
    size_t which = cli_choice("--metric", name, names, sizeof names / sizeof *names);
    if (!which) return NULL;
    if (!tok) bad_input("--metric %s compares texts, and there is no tokenizer: name one with --tokenizer, or leave it at loss", name);
    Metric *m = mem_new(1, sizeof *m);
    m->name = name;
    m->options.kind = (ScoreKind)cli_choice("--metric", name, score_names, SCORE_KINDS);
    m->items = mem_new(e->count, sizeof *m->items);
    for (size_t i = 0; i < e->count; i++) m->items[i] = e->items[i].row;
    m->suite = (Suite){.rows = e->rows, .encoder = e->encoder, .tok = tok, .items = m->items, .count = e->count};
    score_check(&m->suite, &m->options);
    return m;
}

size_t metric_bytes(const Model *m, const Examples *e) {
    size_t longest = e->longest + 16; /* the answer may be a little longer than the right one */
    return suite_answer_bytes(m, longest < m->config.ctx ? longest : m->config.ctx, e->count);
}

double metric_measure(Metric *metric, const Model *m) {
    Tick quiet = {.what = NULL};
    Scores s = score_suite(&metric->suite, m, &metric->options, &quiet);
    double mean = estimate_mean(s.values[0], s.count).mean;
    scores_free(&s);
    return mean;
}

void metric_report(Metric *metric, const Model *m, const Examples *e, bool json, JsonWriter *log) {
    size_t tokens = e->longest > REPORT_TOKENS ? e->longest : REPORT_TOKENS;
    Pass *p = pass_new(m, tokens, false, false);
    double low, high, loss = score_samples(m, p, &(Source){.samples = e->count, .longest = e->longest, .self = e, .add = examples_add});
    ResultLine r = result_begin(json);
    pass_free(p);
    result_number(&r, "test_loss", loss);
    jw_float(log, "test_loss", (float)loss);
    if (metric) {
        double share = metric_measure(metric, m);
        char *name = str_format("test_%s", metric->name);
        wilson_interval(share * (double)e->count, e->count, &low, &high);
        result_number(&r, name, share), result_number(&r, "low", low), result_number(&r, "high", high);
        jw_float(log, "test_score", (float)share), jw_float(log, "low", (float)low), jw_float(log, "high", (float)high);
        mem_free(name);
    }
    result_count(&r, "rows", e->count);
    jw_uint(log, "rows", e->count);
    result_print(&r);
}
