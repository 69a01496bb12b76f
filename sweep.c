#include "sweep_parts.h"

#include "cli.h"
#include "decimal.h"
#include "os.h"

#include <string.h>

/* Of each method's cells that reach tau the one that forgets least on the select half; of equals the one of fewer tokens. */
static void choose(Cell *cells, size_t count) {
    Cell *best = NULL;
    for (size_t i = 0; i < count; i++) {
        Cell *c = &cells[i];
        if (!c->matched.step) continue;
        const Point *p = &c->matched, *q = best ? &best->matched : NULL;
        if (!q || p->select_forgetting < q->select_forgetting || (p->select_forgetting == q->select_forgetting && p->total_tokens < q->total_tokens)) best = c;
    }
    if (best) best->chosen = true;
}

/* ---- frontier.json ---- */

static void put_cell(JsonWriter *w, const Sweep *s, const Cell *c) {
    jw_object(w, NULL);
    jw_string(w, "cell", c->name), jw_string(w, "method", c->method->name), jw_double(w, "rate", c->rate);
    if (c->method->flag) jw_string(w, "flag", c->method->flag), jw_double(w, "strength", c->strength);
    jw_array(w, "curve");
    for (size_t i = 0; i < c->curve_count; i++) put_point(w, NULL, &c->curve[i]);
    jw_end_array(w);
    if (c->matched.step) {
        put_point(w, "matched", &c->matched);
        jw_double(w, "above", c->matched.learning - s->tau), jw_uint(w, "bracket", c->bracket);
    } else jw_null(w, "matched");
    jw_bool(w, "chosen", c->chosen);
    jw_end_object(w);
}

static Buf frontier_json(const Sweep *s, const Cell *cells, size_t count) {
    JsonWriter w = {0};
    const char *task = strrchr(s->train_path, '/') ? strrchr(s->train_path, '/') + 1 : s->train_path;
    jw_object(&w, NULL);
    jw_int(&w, "v", 1), jw_string(&w, "format", "finetune.c frontier"), jw_int(&w, "bits_version", BITS_VERSION);
    jw_string(&w, "task", task), jw_double(&w, "tau", s->tau), jw_double(&w, "point", s->point);
    jw_uint(&w, "steps", s->steps), jw_uint(&w, "seed", s->seed), jw_uint(&w, "trials", s->cells);
    jw_string(&w, "learning_is", s->task.half[SELECT].kind == MEASURE_TEXT ? "bits a byte saved on the new text" : "score on the new task");
    jw_string(&w, "forgetting_is", s->by_text ? "bits a byte gained on the texts" : "mean drop of the suites that the base knows");
    jw_string(&w, "base", s->base_hash), jw_string(&w, "train", s->train_hash), jw_string(&w, "test", s->task.half[SELECT].hash);
    jw_array(&w, "suites");
    for (size_t i = 0; i < s->suite_count; i++)
        if (s->suites[i].known) jw_string(&w, NULL, s->suites[i].half[REPORT].name);
    jw_end_array(&w);
    jw_array(&w, "cells");
    for (size_t i = 0; i < count; i++) put_cell(&w, s, &cells[i]);
    jw_end_array(&w), jw_end_object(&w);
    buf_char(&w.text, '\n');
    return w.text;
}

/* ---- frontier.csv ---- */

static void put_csv(Buf *csv, const Sweep *s, const Cell *c) {
    const Point *p = &c->matched;
    const double values[] = {p->learning - s->tau, p->learning, p->reported.value, p->reported.low, p->reported.high, p->forgetting.value, p->forgetting.low,
                             p->forgetting.high, p->select_forgetting};
    char number[DECIMAL_MAX];
    decimal_print(number, c->rate);
    buf_format(csv, "%s,%s,%s,", c->method->name, number, c->method->flag ? c->method->flag : "");
    decimal_print(number, c->strength);
    buf_format(csv, "%s,%s,%s,", c->method->flag ? number : "", p->step ? "yes" : "no", c->chosen ? "yes" : "no");
    if (p->step) buf_format(csv, "%zu,%zu,%zu,%zu", p->step, c->bracket, p->new_tokens, p->total_tokens);
    else buf_str(csv, ",,,");
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        decimal_print(number, values[i]);
        buf_format(csv, ",%s", p->step ? number : "");
    }
    buf_char(csv, '\n');
}

/* ---- what is printed; and timing.jsonl, which alone differs between two runs ---- */

static void print_cell(const Sweep *s, const Cell *c, const char *what, double seconds, bool json) {
    const Point *p = &c->matched;
    ResultLine r = result_begin(json);
    result_text(&r, what, c->method->name), result_number(&r, "rate", c->rate);
    if (c->method->flag) result_number(&r, c->method->flag, c->strength);
    if (p->step) {
        result_count(&r, "step", p->step), result_count(&r, "bracket", c->bracket), result_number(&r, "above", p->learning - s->tau);
        result_count(&r, "new_tokens", p->new_tokens), result_count(&r, "total_tokens", p->total_tokens);
        result_number(&r, "learning", p->learning), result_number(&r, "reported", p->reported.value);
        result_number(&r, "forgetting", p->forgetting.value), result_number(&r, "low", p->forgetting.low), result_number(&r, "high", p->forgetting.high);
        if (is_finite(seconds)) result_number(&r, "seconds", seconds);
    } else result_text(&r, "tau", json ? "not reached" : "not-reached");
    result_print(&r);
}

static void put_timing(Buf *timing, const Cell *c, double seconds) {
    JsonWriter w = {0};
    jw_object(&w, NULL);
    jw_int(&w, "v", 1), jw_string(&w, "cell", c->name), jw_uint(&w, "step", c->matched.step), jw_double(&w, "seconds", seconds);
    jw_end_object(&w);
    buf_put(timing, w.text.data, w.text.len), buf_char(timing, '\n');
    buf_free(&w.text);
}

static void print_chosen(const Sweep *s, const Cell *cells, const double *seconds, size_t count, bool json) {
    for (size_t i = 0; i < count; i += s->cells) {
        size_t k = i;
        while (k < i + s->cells && !cells[k].chosen) k++;
        if (k < i + s->cells) print_cell(s, &cells[k], "chosen", seconds[k], json);
    }
}

void sweep_run(const char *spec, const char *out, bool resume, bool json) {
    Sweep s = sweep_open(spec, out);
    size_t count = s.method_count * s.cells;
    Cell *cells = mem_new(count, sizeof *cells);
    double *seconds = mem_new(count, sizeof *seconds);
    char *dir = os_join(out, "cells");
    Buf csv = {0}, timing = {0};
    measure_base(&s);
    os_make_dir(dir);
    for (size_t i = 0; i < count; i++) {
        cells[i] = cell_open(&s, i);
        cell_run(&s, &cells[i], resume);
        seconds[i] = cell_seconds(&cells[i]);
        print_cell(&s, &cells[i], "method", seconds[i], json);
        if (is_finite(seconds[i])) put_timing(&timing, &cells[i], seconds[i]);
    }
    for (size_t i = 0; i < count; i += s.cells) choose(&cells[i], s.cells);
    print_chosen(&s, cells, seconds, count, json);
    buf_str(&csv, "method,rate,flag,strength,reached,chosen,step,bracket,new_tokens,total_tokens,above,learning,reported,reported_low,reported_high,"
                  "forgetting,low,high,select_forgetting\n");
    for (size_t i = 0; i < count; i++) put_csv(&csv, &s, &cells[i]);
    os_write_in(out, "frontier.json", frontier_json(&s, cells, count)), os_write_in(out, "frontier.csv", csv), os_write_in(out, "timing.jsonl", timing);
    mem_free(dir), mem_free(seconds), mem_free(cells);
}
