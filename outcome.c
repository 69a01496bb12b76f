#include "outcome.h"

#include "cli.h"
#include "decimal.h"
#include "os.h"

#include <string.h>

static const char *const half_names[] = {"all", "select", "report"};
static const char *const kind_names[] = {"text", "task", "choice"}, *const measure_names[] = {"bits a byte", "exact", "choice"};

bool suite_known(const Outcome *o, size_t suite) {
    const Measure *s = &o->suites[suite];
    return s->kind == MEASURE_TEXT || measured_score(s, o->before[suite].score).low > s->chance + 1e-12; /* of no hits it is 0 but for rounding */
}

static double model_score(const Outcome *o, size_t suite, const Measured *m) {
    double value = measured_score(&o->suites[suite], m->score).value;
    return o->suites[suite].kind == MEASURE_TEXT ? -value : value;
}

SequenceScores outcome_sequence(const Outcome *o, double *R, double *before, double *joint) {
    size_t T = o->task_count;
    for (size_t j = 0; j < T; j++) {
        size_t suite = o->tasks[j];
        for (size_t i = 0; i < T; i++) R[i * T + j] = model_score(o, suite, &o->tuned[i].measured[suite]);
        before[j] = model_score(o, suite, &o->before[suite]);
        if (o->joint) joint[j] = model_score(o, suite, &o->tuned[o->tuned_count - 1].measured[suite]);
    }
    return sequence_scores(R, before, o->joint ? joint : NULL, T);
}

/* ---- forget.json ---- */

static void put_interval(JsonWriter *w, const char *name, Interval r) {
    char *low = str_format("%s_low", name), *high = str_format("%s_high", name);
    jw_double(w, name, r.value), jw_double(w, low, r.low), jw_double(w, high, r.high);
    mem_free(low), mem_free(high);
}

static double mean_of(const double *x, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += x[i];
    return sum / (double)n;
}

/* What stands beside the score; with `before` also how it changed. */
static void put_beside(JsonWriter *w, const Measure *s, const Measured *before, const Measured *m) {
    const double *const mine[] = {m->likelihood, m->choice, m->form}, *const base[] = {before->likelihood, before->choice, before->form};
    static const char *const names[] = {"likelihood", "choice", "form"}, *const changes[] = {"likelihood_change", "choice_change", "form_change"};
    for (int k = 0; k < 3; k++) {
        if (!mine[k]) continue;
        jw_double(w, names[k], mean_of(mine[k], s->count));
        if (m != before) put_interval(w, changes[k], mean_change(base[k], mine[k], s->count, k > 0));
    }
}

static void put_after(JsonWriter *w, const Outcome *o, size_t suite, const TunedModel *t) {
    const Measure *s = &o->suites[suite];
    const Measured *before = &o->before[suite], *after = &t->measured[suite];
    Interval b = measured_score(s, before->score), a = measured_score(s, after->score);
    jw_object(w, NULL);
    jw_string(w, "model", t->name);
    jw_double(w, "score", a.value), jw_double(w, "low", a.low), jw_double(w, "high", a.high);
    put_interval(w, "change", measured_change(s, before->score, after->score));
    if (s->kind != MEASURE_TEXT) {
        if (suite_known(o, suite)) jw_double(w, "kept", kept_above_chance(b.value, a.value, s->chance));
        else jw_null(w, "kept");
        put_beside(w, s, before, after);
    }
    jw_double(w, "kl", t->kl[suite]);
    jw_end_object(w);
}

static void put_suite(JsonWriter *w, const Outcome *o, size_t suite) {
    const Measure *s = &o->suites[suite];
    const Measured *before = &o->before[suite];
    Interval b = measured_score(s, before->score);
    jw_object(w, NULL);
    jw_string(w, "name", s->name), jw_string(w, "kind", kind_names[s->kind]), jw_string(w, "measure", measure_names[s->kind]);
    jw_string(w, "sha256", s->hash), jw_uint(w, "items", s->count);
    if (s->kind != MEASURE_TEXT) jw_double(w, "chance", s->chance);
    jw_bool(w, "known", suite_known(o, suite));
    jw_object(w, "before");
    jw_double(w, "score", b.value), jw_double(w, "low", b.low), jw_double(w, "high", b.high);
    if (s->kind != MEASURE_TEXT) put_beside(w, s, before, before);
    jw_end_object(w);
    jw_array(w, "after");
    for (size_t i = 0; i < o->tuned_count; i++) put_after(w, o, suite, &o->tuned[i]);
    jw_end_array(w), jw_end_object(w);
}

static void put_model(JsonWriter *w, const TunedModel *t) {
    jw_object(w, NULL);
    jw_string(w, "name", t->name), jw_string(w, "kind", t->adapter ? "adapter" : "model"), jw_string(w, "sha256", t->hash);
    jw_array(w, "parts");
    for (size_t i = 0; i < t->part_count; i++) {
        const PartDistance *p = &t->parts[i];
        jw_object(w, NULL);
        jw_string(w, "part", p->name), jw_int(w, "layer", p->layer);
        jw_double(w, "distance", p->distance), jw_double(w, "relative", p->norm > 0 ? p->distance / p->norm : 0);
        jw_end_object(w);
    }
    jw_end_array(w), jw_end_object(w);
}

static void put_numbers(JsonWriter *w, const char *key, const double *x, size_t n) {
    jw_array(w, key);
    for (size_t i = 0; i < n; i++) jw_double(w, NULL, x[i]);
    jw_end_array(w);
}

static void put_sequence(JsonWriter *w, const Outcome *o) {
    size_t T = o->task_count;
    double *R = mem_new(T * T, sizeof *R), *before = mem_new(T, sizeof *before), *joint = mem_new(T, sizeof *joint);
    SequenceScores s = outcome_sequence(o, R, before, joint);
    jw_object(w, "sequence");
    jw_array(w, "tasks");
    for (size_t i = 0; i < T; i++) jw_string(w, NULL, o->suites[o->tasks[i]].name);
    jw_end_array(w);
    put_numbers(w, "before", before, T);
    jw_array(w, "rows");
    for (size_t i = 0; i < T; i++) put_numbers(w, NULL, R + i * T, T);
    jw_end_array(w);
    if (o->joint) put_numbers(w, "joint", joint, T);
    jw_double(w, "acc", s.acc), jw_double(w, "bwt", s.bwt), jw_double(w, "fwt", s.fwt), jw_double(w, "forgetting", s.forgetting);
    jw_double(w, "learning", s.learning), jw_double(w, "intransigence", s.intransigence);
    jw_end_object(w);
    mem_free(R), mem_free(before), mem_free(joint);
}

static void put_relearned(JsonWriter *w, const Outcome *o) {
    jw_array(w, "relearn");
    for (size_t i = 0; i < o->relearned_count; i++) {
        const Relearned *r = &o->relearned[i];
        jw_object(w, NULL);
        jw_string(w, "suite", o->suites[r->suite].name), jw_string(w, "model", o->tuned[r->model].name);
        jw_array(w, "rows");
        for (size_t k = 0; k < r->count; k++) jw_uint(w, NULL, r->rows[k]);
        jw_end_array(w);
        put_numbers(w, "scores", r->scores, r->count);
        if (r->back == SIZE_MAX) jw_null(w, "back");
        else jw_uint(w, "back", r->back);
        jw_end_object(w);
    }
    jw_end_array(w);
}

Buf outcome_json(const Outcome *o) {
    JsonWriter w = {.pretty = true};
    jw_object(&w, NULL);
    jw_int(&w, "v", 1), jw_string(&w, "format", "finetune.c forgetting"), jw_int(&w, "bits_version", BITS_VERSION);
    jw_string(&w, "half", half_names[o->half]), jw_uint(&w, "seed", o->seed), jw_uint(&w, "kl_tokens", o->kl_tokens);
    jw_object(&w, "base");
    jw_string(&w, "name", o->base), jw_string(&w, "sha256", o->base_hash);
    jw_end_object(&w);
    jw_array(&w, "models");
    for (size_t i = 0; i < o->tuned_count; i++) put_model(&w, &o->tuned[i]);
    jw_end_array(&w);
    jw_array(&w, "suites");
    for (size_t i = 0; i < o->suite_count; i++) put_suite(&w, o, i);
    jw_end_array(&w);
    if (o->task_count) put_sequence(&w, o);
    if (o->relearned_count) put_relearned(&w, o);
    jw_end_object(&w);
    buf_char(&w.text, '\n');
    return w.text;
}

/* ---- forget.csv ---- */

static void put_field(Buf *out, const char *text) {
    bool quote = strpbrk(text, ",\"\r\n") != NULL;
    if (quote) buf_char(out, '"');
    for (; *text; text++) {
        if (*text == '"') buf_char(out, '"');
        buf_char(out, *text);
    }
    if (quote) buf_char(out, '"');
}

/* Empty where it is not known. */
static void put_number(Buf *out, double x) {
    char text[DECIMAL_MAX];
    decimal_print(text, x);
    buf_char(out, ',');
    if (is_finite(x)) buf_str(out, text);
}

static void put_line(Buf *out, const Outcome *o, size_t suite, const TunedModel *t) {
    const Measure *s = &o->suites[suite];
    const Measured *before = &o->before[suite], *after = &t->measured[suite];
    Interval b = measured_score(s, before->score), a = measured_score(s, after->score), c = measured_change(s, before->score, after->score);
    const double *const beside[] = {before->likelihood, after->likelihood, before->choice, after->choice, before->form, after->form};
    double unknown = bits_double(0x7ff8000000000000);
    put_field(out, s->name), buf_char(out, ','), put_field(out, measure_names[s->kind]), buf_char(out, ','), put_field(out, t->name);
    buf_format(out, ",%zu,%s", s->count, suite_known(o, suite) ? "yes" : "no");
    put_number(out, s->chance), put_number(out, b.value), put_number(out, b.low), put_number(out, b.high);
    put_number(out, a.value), put_number(out, a.low), put_number(out, a.high), put_number(out, c.value), put_number(out, c.low), put_number(out, c.high);
    put_number(out, s->kind != MEASURE_TEXT && suite_known(o, suite) ? kept_above_chance(b.value, a.value, s->chance) : unknown);
    for (size_t i = 0; i < sizeof beside / sizeof *beside; i++) put_number(out, beside[i] ? mean_of(beside[i], s->count) : unknown);
    put_number(out, t->kl[suite]);
    buf_str(out, "\n");
}

Buf outcome_csv(const Outcome *o) {
    Buf out = {0};
    buf_str(&out, "suite,measure,model,items,known,chance,before,before_low,before_high,after,after_low,after_high,change,change_low,change_high,kept,"
                  "likelihood_before,likelihood_after,choice_before,choice_after,form_before,form_after,kl\n");
    for (size_t i = 0; i < o->suite_count; i++)
        for (size_t k = 0; k < o->tuned_count; k++) put_line(&out, o, i, &o->tuned[k]);
    return out;
}

/* ---- items-SUITE.jsonl ---- */

static void put_item(JsonWriter *w, const Measure *s, const char *model, const Measured *m, size_t i) {
    jw_object(w, NULL);
    jw_string(w, "model", model);
    if (s->kind == MEASURE_TEXT) jw_double(w, "bits", m->score[i]);
    else jw_bool(w, "right", m->score[i] > 0.5);
    if (m->likelihood) jw_double(w, "likelihood", m->likelihood[i]);
    if (m->choice) jw_bool(w, "choice", m->choice[i] > 0.5);
    if (m->form) jw_bool(w, "form", m->form[i] > 0.5);
    if (m->answers) jw_string(w, "answer", m->answers[i]);
    jw_end_object(w);
}

Buf outcome_items(const Outcome *o, size_t suite) {
    const Measure *s = &o->suites[suite];
    Buf out = {0};
    for (size_t i = 0; i < s->count; i++) {
        JsonWriter w = {0};
        jw_object(&w, NULL);
        jw_int(&w, "v", 1), jw_uint(&w, "item", s->items[i]);
        if (s->kind == MEASURE_TEXT) jw_double(&w, "bytes", s->bytes[i]);
        else jw_uint(&w, "line", rows_line(s->suite.rows, s->items[i]));
        if (s->kind == MEASURE_TASK) {
            jw_array(&w, "distractors");
            for (size_t k = 0; k < s->distractor_count[i]; k++) jw_uint(&w, NULL, s->items[s->distractors[i * DISTRACTORS + k]]);
            jw_end_array(&w);
        }
        jw_array(&w, "models");
        put_item(&w, s, "base", &o->before[suite], i);
        for (size_t k = 0; k < o->tuned_count; k++) put_item(&w, s, o->tuned[k].name, &o->tuned[k].measured[suite], i);
        jw_end_array(&w), jw_end_object(&w);
        buf_put(&out, w.text.data, w.text.len), buf_char(&out, '\n');
        buf_free(&w.text);
    }
    return out;
}

void outcome_write(const Outcome *o, const char *dir) {
    for (size_t i = 0; i < o->suite_count; i++) {
        char *name = str_format("items-%s.jsonl", o->suites[i].name);
        os_write_in(dir, name, outcome_items(o, i));
        mem_free(name);
    }
    os_write_in(dir, "forget.csv", outcome_csv(o));
    os_write_in(dir, "forget.json", outcome_json(o));
}

/* ---- what is printed ---- */

static void print_line(const Outcome *o, size_t suite, const TunedModel *t, bool json) {
    const Measure *s = &o->suites[suite];
    const double *before = o->before[suite].score, *after = t->measured[suite].score;
    Interval b = measured_score(s, before), a = measured_score(s, after), c = measured_change(s, before, after);
    ResultLine r = result_begin(json);
    result_text(&r, "suite", s->name), result_text(&r, "model", t->name);
    result_number(&r, "before", b.value), result_number(&r, "after", a.value);
    bool known = suite_known(o, suite);
    if (known || c.low > 0) result_number(&r, "change", c.value), result_number(&r, "low", c.low), result_number(&r, "high", c.high);
    if (!known) result_text(&r, "forgetting", json ? "not known: the score before includes chance" : "not-known");
    else if (s->kind != MEASURE_TEXT) result_number(&r, "kept", kept_above_chance(b.value, a.value, s->chance));
    if (is_finite(t->kl[suite])) result_number(&r, "kl", t->kl[suite]);
    result_print(&r);
}

void outcome_print(const Outcome *o, bool json) {
    size_t T = o->task_count;
    for (size_t i = 0; i < o->suite_count; i++)
        for (size_t k = 0; k < o->tuned_count; k++) print_line(o, i, &o->tuned[k], json);
    for (size_t i = 0; i < o->relearned_count; i++) {
        const Relearned *p = &o->relearned[i];
        ResultLine r = result_begin(json);
        result_text(&r, "relearn", o->suites[p->suite].name), result_text(&r, "model", o->tuned[p->model].name);
        if (p->back == SIZE_MAX) result_text(&r, "rows", json ? "none of these brings it back" : "not-back");
        else result_count(&r, "rows", p->back);
        result_number(&r, "score", p->scores[p->count - 1]);
        result_print(&r);
    }
    if (!T) return;
    double *R = mem_new(T * T, sizeof *R), *before = mem_new(T, sizeof *before), *joint = mem_new(T, sizeof *joint);
    SequenceScores s = outcome_sequence(o, R, before, joint);
    const char *const names[] = {"acc", "bwt", "fwt", "forgetting", "learning", "intransigence"};
    const double values[] = {s.acc, s.bwt, s.fwt, s.forgetting, s.learning, s.intransigence};
    ResultLine r = result_begin(json);
    result_count(&r, "tasks", T);
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        if (is_finite(values[i])) result_number(&r, names[i], values[i]);
    result_print(&r);
    mem_free(R), mem_free(before), mem_free(joint);
}
