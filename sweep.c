#include "sweep.h"

#include "cli.h"
#include "decimal.h"
#include "hash.h"
#include "lora.h"
#include "opening.h"
#include "os.h"
#include "trainer.h"
#include "weights.h"

#include <stdio.h>
#include <string.h>

typedef struct {
    const char *name;
    const Json *flags, *rates, *ranks;    /* ranks NULL: none */
} Method;

typedef struct {
    JsonDoc *doc;
    const char *out, *base_path, *train_path;
    char base_hash[65], train_hash[65];
    const Json *flags;                /* of every cell */
    Method *methods;
    size_t method_count, cells;       /* cells: of each method */
    double tau;
    size_t steps, evaluations, seed;
    Model *base;
    Tokenizer *tok;
    Measure task;                     /* the new task's select half */
    Measure *suites;                  /* report halves */
    size_t suite_count;
    bool *known;
    Measured *before;
    double task_before;
    bool by_text;                     /* forgetting is bits a byte */
} Sweep;

/* ---- the file ---- */

static const Json *list_of(const Sweep *s, const Json *object, const char *key, const Json *fallback) {
    const Json *list = json_get(object, key);
    if (!list) return fallback;
    if (list->kind != JSON_ARRAY || !list->count) bad_input("%s: line %zu: \"%s\" is a list that is not empty", json_name(s->doc), list->line, key);
    return list;
}

static void check_numbers(const Sweep *s, const Json *list, const char *key) {
    for (size_t i = 0; list && i < list->count; i++)
        if (list->items[i].kind != JSON_NUMBER || !(list->items[i].number > 0))
            bad_input("%s: line %zu: \"%s\" holds numbers above 0, found %s", json_name(s->doc), list->items[i].line, key, json_kind_name(list->items[i].kind));
}

static const Json *flags_of(const Sweep *s, const Json *object) {
    const Json *flags = json_get(object, "flags");
    if (flags && flags->kind != JSON_OBJECT) bad_input("%s: line %zu: \"flags\" is an object of train's flags", json_name(s->doc), flags->line);
    return flags;
}

static void check_keys(const Sweep *s, const Json *object, const char *const *keys, size_t count) {
    for (size_t i = 0; i < object->count; i++) {
        const char *key = object->keys[i].string;
        size_t k = 0;
        while (k < count && strcmp(key, keys[k])) k++;
        if (k < count) continue;
        const char *near = nearest_name(key, keys, count);
        bad_input("%s: line %zu: unknown key \"%s\"%s%s%s", json_name(s->doc), object->keys[i].line, key, near ? "; did you mean " : "", near ? near : "",
                  near ? "?" : "");
    }
}

static void read_methods(Sweep *s, const Json *root) {
    static const char *const keys[] = {"name", "flags", "rates", "ranks"};
    const Json *methods = list_of(s, root, "methods", NULL), *rates = list_of(s, root, "rates", NULL);
    if (!methods) bad_input("%s: \"methods\" is missing: a list of {\"name\", \"flags\", \"rates\", \"ranks\"}", json_name(s->doc));
    s->methods = mem_new(methods->count, sizeof *s->methods);
    for (size_t i = 0; i < methods->count; i++) {
        const Json *m = &methods->items[i];
        if (m->kind != JSON_OBJECT) bad_input("%s: line %zu: a method is an object, found %s", json_name(s->doc), m->line, json_kind_name(m->kind));
        check_keys(s, m, keys, sizeof keys / sizeof *keys);
        Method *method = &s->methods[s->method_count++];
        *method = (Method){json_need(s->doc, m, "name", JSON_STRING)->string, flags_of(s, m), list_of(s, m, "rates", rates), list_of(s, m, "ranks", NULL)};
        if (!*method->name || strpbrk(method->name, "/\\ \t\n.")) bad_input("%s: line %zu: a method's name is a word", json_name(s->doc), m->line);
        if (!method->rates) bad_input("%s: line %zu: method %s has no \"rates\"", json_name(s->doc), m->line, method->name);
        check_numbers(s, method->rates, "rates"), check_numbers(s, method->ranks, "ranks");
        size_t cells = method->rates->count * (method->ranks ? method->ranks->count : 1);
        if (i && cells != s->cells)
            bad_input("%s: line %zu: method %s has %zu cells (rates x ranks), the first has %zu: give each the same number of trials", json_name(s->doc),
                      m->line, method->name, cells, s->cells);
        s->cells = cells;
        for (size_t k = 0; k < i; k++)
            if (!strcmp(s->methods[k].name, method->name)) bad_input("%s: line %zu: two methods are called %s", json_name(s->doc), m->line, method->name);
    }
}

static const char *name_of(const char *path) { return strrchr(path, '/') ? strrchr(path, '/') + 1 : path; }

static void open_measures(Sweep *s, const Json *root) {
    const Json *suites = list_of(s, root, "suites", NULL), *texts = list_of(s, root, "texts", NULL);
    double unknown = bits_double(0x7ff8000000000000);
    size_t tasks = suites ? suites->count : 0, count = tasks + (texts ? texts->count : 0);
    if (!count) bad_input("%s: \"suites\" or \"texts\" is needed: what may be forgotten", json_name(s->doc));
    const char *test = json_string(s->doc, root, "test", NULL), *text = json_string(s->doc, root, "test_text", NULL);
    if (!test == !text) bad_input("%s: one of \"test\" (rows with answers) and \"test_text\" says what is to be learned", json_name(s->doc));
    s->task = test ? measure_task(test, "new", HALF_SELECT, s->tok, NULL, s->base_path, unknown, (uint32_t)s->seed)
                   : measure_text(text, "new", HALF_SELECT, s->tok, s->base->config.ctx);
    s->suites = mem_new(count, sizeof *s->suites);
    for (size_t i = 0; i < count; i++) {
        const Json *item = i < tasks ? &suites->items[i] : &texts->items[i - tasks];
        if (item->kind != JSON_STRING) bad_input("%s: line %zu: \"suites\" and \"texts\" hold names of files", json_name(s->doc), item->line);
        const char *path = item->string;
        s->suites[i] = i < tasks ? measure_task(path, name_of(path), HALF_REPORT, s->tok, NULL, s->base_path, unknown, (uint32_t)s->seed)
                                 : measure_text(path, name_of(path), HALF_REPORT, s->tok, s->base->config.ctx);
    }
    s->suite_count = count;
}

static Measured measured(Measure *m, const Model *model, const char *what) {
    char *label = str_format("sweep: %s, %s", what, m->name);
    Tick t = tick_begin(label, m->count);
    Measured r = measure_model(m, model, false, &t);
    mem_free(label);
    return r;
}

/* Of a new task the score, of a new text the bits a byte saved: more is better. */
static double learning_of(const Sweep *s, const Measured *r) {
    double value = measured_score(&s->task, r->score).value;
    return s->task.kind == MEASURE_TEXT ? s->task_before - value : value;
}

/* The base: what it scores, and which suites it knows. */
static void measure_base(Sweep *s) {
    size_t tasks_known = 0;
    Measured r = measured(&s->task, s->base, "base");
    s->task_before = measured_score(&s->task, r.score).value;
    measured_free(&r, s->task.count);
    s->before = mem_new(s->suite_count, sizeof *s->before), s->known = mem_new(s->suite_count, sizeof *s->known);
    for (size_t i = 0; i < s->suite_count; i++) {
        s->before[i] = measured(&s->suites[i], s->base, "base");
        s->known[i] = s->suites[i].kind != MEASURE_TEXT && measured_score(&s->suites[i], s->before[i].score).low > s->suites[i].chance + 1e-12;
        tasks_known += s->known[i];
    }
    s->by_text = !tasks_known;
    for (size_t i = 0; i < s->suite_count; i++)
        if (s->by_text) s->known[i] = s->suites[i].kind == MEASURE_TEXT;
    for (size_t i = 0; i < s->suite_count; i++)
        if (s->known[i]) return;
    bad_input("%s: the base knows none of the suites (their scores include chance) and there are no texts: nothing can be forgotten", json_name(s->doc));
}

static Sweep sweep_open(const char *path, const char *out) {
    static const char *const keys[] = {"base", "train", "test", "test_text", "suites", "texts", "tau", "steps", "evaluations", "seed",
                                       "flags", "methods", "rates"};
    Sweep s = {.doc = json_read(path), .out = out};
    const Json *root = json_root(s.doc);
    if (root->kind != JSON_OBJECT) bad_input("%s: expected an object, found %s", path, json_kind_name(root->kind));
    check_keys(&s, root, keys, sizeof keys / sizeof *keys);
    s.base_path = json_need(s.doc, root, "base", JSON_STRING)->string, s.train_path = json_need(s.doc, root, "train", JSON_STRING)->string;
    s.tau = json_need(s.doc, root, "tau", JSON_NUMBER)->number;
    s.steps = (size_t)json_int(s.doc, root, "steps", 1, 1000000000, 100), s.evaluations = (size_t)json_int(s.doc, root, "evaluations", 1, 10000, 10);
    s.seed = (size_t)json_int(s.doc, root, "seed", 0, UINT32_MAX, 1);
    if (s.evaluations > s.steps) bad_input("%s: more evaluations (%zu) than steps (%zu)", path, s.evaluations, s.steps);
    s.flags = flags_of(&s, root);
    read_methods(&s, root);
    ModelFlags f = {.model = s.base_path};
    s.base = open_weights(&f, true);
    s.tok = open_tokenizer(&f, s.base, true);
    base_hash(s.base_path, s.base_hash), hash_file(s.train_path, s.train_hash);
    open_measures(&s, root);
    return s;
}

/* ---- a cell ---- */

typedef struct {
    const Method *method;
    double rate, rank;                /* rank 0: none */
    char *name, *dir;
    char key[65];
} Cell;

static char *cell_name(const Method *m, double rate, double rank) {
    char number[DECIMAL_MAX], width[DECIMAL_MAX];
    decimal_print(number, rate), decimal_print(width, rank);
    return rank > 0 ? str_format("%s-%s-r%s", m->name, number, width) : str_format("%s-%s", m->name, number);
}

/* SHA-256 of all that decides the cell's curve. */
static void cell_key(const Sweep *s, Cell *c) {
    JsonWriter w = {0};
    jw_object(&w, NULL);
    jw_int(&w, "bits_version", BITS_VERSION), jw_string(&w, "base", s->base_hash), jw_string(&w, "train", s->train_hash), jw_string(&w, "test", s->task.hash);
    jw_array(&w, "suites");
    for (size_t i = 0; i < s->suite_count; i++) jw_string(&w, NULL, s->suites[i].hash), jw_double(&w, NULL, s->suites[i].chance);
    jw_end_array(&w);
    if (s->flags) jw_copy(&w, "flags", s->flags);
    if (c->method->flags) jw_copy(&w, "method", c->method->flags);
    jw_double(&w, "rate", c->rate), jw_double(&w, "rank", c->rank), jw_double(&w, "tau", s->tau);
    jw_uint(&w, "steps", s->steps), jw_uint(&w, "evaluations", s->evaluations), jw_uint(&w, "seed", s->seed);
    jw_end_object(&w);
    sha256_of(w.text.data, w.text.len, c->key);
    buf_free(&w.text);
}

static void train_to(const Sweep *s, const Cell *c, size_t step, bool first) {
    Words w = {0};
    words_add(&w, s->base_path);
    words_pair(&w, "--data", s->train_path), words_pair(&w, "--out", c->dir), words_pair(&w, "--valid", "0");
    words_number(&w, "--steps", (double)s->steps), words_number(&w, "--lr", c->rate), words_number(&w, "--seed", (double)s->seed);
    words_number(&w, "--save-every", (double)s->steps), words_number(&w, "--stop-at", (double)step);
    if (c->rank > 0) words_number(&w, "--rank", c->rank);
    words_flags(&w, s->doc, s->flags), words_flags(&w, s->doc, c->method->flags);
    words_add(&w, first ? "--force" : "--resume");
    train_beside(&w, c->name);
    words_free(&w);
}

static size_t tokens_at(const char *checkpoint) {
    char *path = os_join(checkpoint, "state.json");
    JsonDoc *doc = json_read(path);
    size_t tokens = (size_t)json_int(doc, json_root(doc), "tokens", 0, INT64_MAX, 0);
    json_free(doc), mem_free(path);
    return tokens;
}

typedef struct {
    size_t step, tokens;
    double learning;
    Interval forgetting;
} Point;

/* Mean of the known suites' drops; suites are independent of each other, so their errors add as squares. */
static Interval mean_drop(const Sweep *s, const Measured *after) {
    double sum = 0, square = 0, known = 0;
    for (size_t i = 0; i < s->suite_count; i++) {
        if (!s->known[i]) continue;
        Interval change = measured_change(&s->suites[i], s->before[i].score, after[i].score);
        double half = (change.high - change.low) / 2;
        sum += s->by_text ? change.value : -change.value, square += half * half, known++;
    }
    double half = d_sqrt(square) / known;
    return (Interval){sum / known, sum / known - half, sum / known + half};
}

static Point measure_checkpoint(Sweep *s, const Cell *c, size_t step) {
    char *dir = str_format("%s/checkpoints/step-%08zu", c->dir, step);
    bool adapter = is_adapter(dir);
    Model *m = s->base;
    if (adapter) adapter_load(m, dir, s->base_path, false);
    else m = model_load(dir, true);
    Point p = {.step = step, .tokens = tokens_at(dir)};
    Measured task = measured(&s->task, m, c->name), *after = mem_new(s->suite_count, sizeof *after);
    p.learning = learning_of(s, &task);
    for (size_t i = 0; i < s->suite_count; i++)
        if (s->known[i]) after[i] = measured(&s->suites[i], m, c->name);
    p.forgetting = mean_drop(s, after);
    measured_free(&task, s->task.count);
    for (size_t i = 0; i < s->suite_count; i++) measured_free(&after[i], s->suites[i].count);
    if (adapter) adapter_free(m);
    else model_free(m);
    mem_free(after), mem_free(dir);
    return p;
}

static void put_point(JsonWriter *w, const char *key, const Point *p) {
    jw_object(w, key);
    jw_uint(w, "step", p->step), jw_uint(w, "tokens", p->tokens), jw_double(w, "learning", p->learning);
    jw_double(w, "forgetting", p->forgetting.value), jw_double(w, "low", p->forgetting.low), jw_double(w, "high", p->forgetting.high);
    jw_end_object(w);
}

static Buf cell_text(const Sweep *s, const Cell *c, const Point *points, size_t count) {
    JsonWriter w = {0};
    const Point *matched = NULL;
    jw_object(&w, NULL);
    jw_int(&w, "v", 1), jw_string(&w, "key", c->key);
    jw_string(&w, "method", c->method->name), jw_double(&w, "rate", c->rate);
    if (c->rank > 0) jw_double(&w, "rank", c->rank);
    jw_array(&w, "curve");
    for (size_t i = 0; i < count; i++) {
        put_point(&w, NULL, &points[i]);
        if (!matched && i && points[i].learning >= s->tau) matched = &points[i];
    }
    jw_end_array(&w);
    if (matched) put_point(&w, "matched", matched);
    else jw_null(&w, "matched");
    jw_end_object(&w);
    return w.text;
}

/* The finished cell in `path`, if it is there and of the same key. */
static JsonDoc *finished(const Cell *c, const char *path) {
    if (!os_exists(path)) return NULL;
    JsonDoc *doc = json_read(path);
    if (!strcmp(json_string(doc, json_root(doc), "key", ""), c->key)) return doc;
    json_free(doc);
    return NULL;
}

static JsonDoc *run_cell(Sweep *s, Cell *c, bool resume) {
    char *path = str_format("%s/cells/%s.json", s->out, c->name);
    cell_key(s, c);
    JsonDoc *doc = resume ? finished(c, path) : NULL;
    if (!doc) {
        Point *points = mem_new(s->evaluations + 1, sizeof *points);
        points[0].learning = s->task.kind == MEASURE_TEXT ? 0 : s->task_before;
        for (size_t i = 1; i <= s->evaluations; i++) {
            size_t step = s->steps * i / s->evaluations;
            train_to(s, c, step, i == 1);
            points[i] = measure_checkpoint(s, c, step);
        }
        Buf text = cell_text(s, c, points, s->evaluations + 1);
        buf_char(&text, '\n');
        os_write_file(path, text.data, text.len);
        buf_free(&text), mem_free(points);
        doc = json_read(path);
    }
    mem_free(path);
    return doc;
}

/* ---- all cells ---- */

static void put_csv(Buf *csv, const Json *cell, const JsonDoc *doc) {
    const Json *at = json_get(cell, "matched");
    const char *const keys[] = {"step", "tokens", "learning", "forgetting", "low", "high"};
    char text[DECIMAL_MAX];
    buf_format(csv, "%s,%s,", json_string(doc, cell, "method", ""), json_get(cell, "rate")->string);
    if (json_get(cell, "rank")) buf_str(csv, json_get(cell, "rank")->string);
    buf_str(csv, at->kind == JSON_OBJECT ? ",yes" : ",no");
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        buf_char(csv, ',');
        double x = at->kind == JSON_OBJECT ? json_double(doc, at, keys[i], bits_double(0x7ff8000000000000)) : bits_double(0x7ff8000000000000);
        decimal_print(text, x);
        if (is_finite(x)) buf_str(csv, text);
    }
    buf_char(csv, '\n');
}

static void print_cell(const Json *cell, const JsonDoc *doc, bool json) {
    const Json *at = json_get(cell, "matched");
    ResultLine r = result_begin(json);
    result_text(&r, "method", json_string(doc, cell, "method", "")), result_number(&r, "rate", json_double(doc, cell, "rate", 0));
    if (json_get(cell, "rank")) result_number(&r, "rank", json_double(doc, cell, "rank", 0));
    if (at->kind == JSON_OBJECT) {
        result_count(&r, "step", (size_t)json_int(doc, at, "step", 0, INT64_MAX, 0)), result_number(&r, "learning", json_double(doc, at, "learning", 0));
        result_number(&r, "forgetting", json_double(doc, at, "forgetting", 0));
        result_number(&r, "low", json_double(doc, at, "low", 0)), result_number(&r, "high", json_double(doc, at, "high", 0));
    } else result_text(&r, "tau", json ? "not reached" : "not-reached");
    result_print(&r);
}

static void write_out(const char *dir, const char *name, const Buf *text) {
    char *path = os_join(dir, name);
    os_write_file(path, text->data, text->len);
    mem_free(path);
}

void sweep_run(const char *spec, const char *out, bool resume, bool json) {
    Sweep s = sweep_open(spec, out);
    char *cells = os_join(out, "cells");
    JsonWriter w = {0};
    Buf csv = {0};
    measure_base(&s);
    os_make_dir(cells);
    buf_str(&csv, "method,rate,rank,reached,step,tokens,learning,forgetting,low,high\n");
    jw_object(&w, NULL);
    jw_int(&w, "v", 1), jw_string(&w, "format", "finetune.c frontier"), jw_int(&w, "bits_version", BITS_VERSION);
    jw_string(&w, "task", name_of(s.train_path)), jw_double(&w, "tau", s.tau), jw_uint(&w, "steps", s.steps), jw_uint(&w, "seed", s.seed);
    jw_string(&w, "learning_is", s.task.kind == MEASURE_TEXT ? "bits a byte saved on the new text" : "score on the new task");
    jw_string(&w, "forgetting_is", s.by_text ? "bits a byte gained on the texts" : "mean drop of the suites that the base knows");
    jw_string(&w, "base", s.base_hash), jw_string(&w, "train", s.train_hash), jw_string(&w, "test", s.task.hash);
    jw_array(&w, "suites");
    for (size_t i = 0; i < s.suite_count; i++)
        if (s.known[i]) jw_string(&w, NULL, s.suites[i].name);
    jw_end_array(&w);
    jw_array(&w, "cells");
    for (size_t i = 0; i < s.method_count * s.cells; i++) {
        const Method *m = &s.methods[i / s.cells];
        size_t k = i % s.cells, ranks = m->ranks ? m->ranks->count : 1;
        Cell c = {.method = m, .rate = m->rates->items[k / ranks].number, .rank = m->ranks ? m->ranks->items[k % ranks].number : 0};
        c.name = cell_name(m, c.rate, c.rank), c.dir = os_join(cells, c.name);
        JsonDoc *doc = run_cell(&s, &c, resume);
        jw_copy(&w, NULL, json_root(doc));
        put_csv(&csv, json_root(doc), doc), print_cell(json_root(doc), doc, json);
        json_free(doc), mem_free(c.name), mem_free(c.dir);
    }
    jw_end_array(&w), jw_end_object(&w);
    buf_char(&w.text, '\n');
    write_out(out, "frontier.json", &w.text), write_out(out, "frontier.csv", &csv);
    buf_free(&w.text), buf_free(&csv), mem_free(cells);
}
