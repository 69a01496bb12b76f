/* One cell of a sweep: trained by `train` itself, measured, and followed to the checkpoint where it reaches tau. */
#include "sweep_parts.h"

#include "hash.h"
#include "lora.h"
#include "os.h"
#include "trainer.h"
#include "weights.h"

#include <stdio.h>
#include <string.h>

/* ---- training ---- */

static bool has_run(const Cell *c) {
    char *path = os_join(c->dir, "run.json");
    bool there = os_exists(path);
    mem_free(path);
    return there;
}

static char *checkpoint_of(const Cell *c, size_t step) { return str_format("%s/checkpoints/step-%08zu", c->dir, step); }
static char *matched_dir(const Cell *c) { return str_format("%s/checkpoints/matched", c->dir); }

/* From the newest checkpoint that is there, or (fresh) from the base. */
static void train_to(const Sweep *s, const Cell *c, size_t step, bool fresh) {
    Words w = {0};
    words_add(&w, s->base_path);
    words_pair(&w, "--data", s->train_path), words_pair(&w, "--out", c->dir), words_pair(&w, "--valid", "0");
    words_number(&w, "--steps", (double)s->steps), words_number(&w, "--lr", c->rate), words_number(&w, "--seed", (double)s->seed);
    words_number(&w, "--save-every", (double)s->steps), words_number(&w, "--stop-at", (double)step);
    if (c->method->flag) {
        char *flag = str_format("--%s", c->method->flag);
        words_number(&w, flag, c->strength);
        mem_free(flag);
    }
    words_flags(&w, s->doc, s->flags), words_flags(&w, s->doc, c->method->flags);
    words_add(&w, !fresh && has_run(c) ? "--resume" : "--force");
    train_beside(&w, c->name, "");
    words_free(&w);
}

/* Back to the checkpoint of step `from` (0: the base), which is trained anew if it is gone, and on to `step`: the same bits as at once. */
static void go_back(const Sweep *s, const Cell *c, size_t from, size_t step) {
    char *dir = os_join(c->dir, "checkpoints"), *first = checkpoint_of(c, from);
    size_t count;
    char **names = os_exists(dir) ? os_list(dir, &count) : NULL;
    for (size_t i = 0; names && i < count; i++) {
        size_t at;
        char *path = os_join(dir, names[i]);
        if (sscanf(names[i], "step-%8zu", &at) == 1 && at > from) os_remove_tree(path);
        mem_free(path), mem_free(names[i]);
    }
    if (from && !os_exists(first)) train_to(s, c, from, false);
    train_to(s, c, step, false);
    mem_free(names), mem_free(dir), mem_free(first);
}

/* What is measured and read of a checkpoint, without the moments, stays in checkpoints/matched: in the place of the one before. */
static void set_aside(const Cell *c, size_t step) {
    char *from = checkpoint_of(c, step), *to = matched_dir(c);
    bool adapter = is_adapter(from);
    os_remove_tree(to), os_make_dir(to);
    os_copy_file(from, to, adapter ? "adapter_config.json" : "config.json");
    os_copy_file(from, to, adapter ? "adapter_model.safetensors" : "model.safetensors");
    os_copy_file(from, to, "state.json");
    mem_free(from), mem_free(to);
}

/* Step and tokens, as the checkpoint's state.json has them; step 0: there is none. */
static Point point_of(const char *checkpoint) {
    char *path = os_join(checkpoint, "state.json");
    Point p = {.step = 0};
    if (os_exists(path)) {
        JsonDoc *doc = json_read(path);
        const Json *root = json_root(doc);
        p.step = (size_t)json_int(doc, root, "step", 0, INT64_MAX, 0);
        int64_t tokens = json_int(doc, root, "tokens", 0, INT64_MAX, 0);
        p.new_tokens = (size_t)json_int(doc, root, "new_tokens", 0, INT64_MAX, tokens);
        p.total_tokens = (size_t)json_int(doc, root, "total_tokens", 0, INT64_MAX, tokens);
        json_free(doc);
    }
    mem_free(path);
    return p;
}

double cell_seconds(const Cell *c) {
    char *path = os_join(c->dir, "timing.jsonl");
    double seconds = 0, steps = 0, begun = 0, nothing = bits_double(0x7ff8000000000000);
    if (!os_exists(path)) return nothing;
    JsonLines l = json_lines(path);
    for (const Json *line; (line = json_next(&l));) {
        double step = json_double(l.doc, line, "step", 0);
        if (!strcmp(json_string(l.doc, line, "event", ""), "begin")) begun = step;
        else steps += step - begun, seconds += json_double(l.doc, line, "update_seconds", 0);
    }
    mem_free(path);
    return steps > 0 && c->matched.step ? seconds / steps * (double)c->matched.step : nothing;
}

/* ---- measuring ---- */

static Measured measured(Measure *m, const Model *model, const char *what) {
    char *label = str_format("sweep: %s, %s", what, m->name);
    Tick t = tick_begin(label, m->count);
    Measured r = measure_model(m, model, false, &t);
    mem_free(label);
    return r;
}

/* Of a new task the score, of a new text the bits a byte saved: more is better. */
static Interval learning_of(const Sweep *s, int half, const Measured *r) {
    const Measure *m = &s->task.half[half];
    if (m->kind != MEASURE_TEXT) return measured_score(m, r->score);
    Interval change = measured_change(m, s->task.before[half].score, r->score);
    return (Interval){0 - change.value, 0 - change.high, 0 - change.low};
}

/* Mean of the known suites' drops; suites are independent of each other, so their errors add as squares. */
static Interval mean_drop(const Sweep *s, int half, const Measured *after) {
    double sum = 0, square = 0, known = 0;
    for (size_t i = 0; i < s->suite_count; i++) {
        if (!s->suites[i].known) continue;
        Interval change = measured_change(&s->suites[i].half[half], s->suites[i].before[half].score, after[i].score);
        double wide = (change.high - change.low) / 2;
        sum += s->by_text ? change.value : -change.value, square += wide * wide, known++;
    }
    double wide = d_sqrt(square) / known;
    return (Interval){sum / known, sum / known - wide, sum / known + wide};
}

static Interval forgetting_of(Sweep *s, int half, const Model *m, const char *what) {
    Measured *after = mem_new(s->suite_count, sizeof *after);
    for (size_t i = 0; i < s->suite_count; i++)
        if (s->suites[i].known) after[i] = measured(&s->suites[i].half[half], m, what);
    Interval drop = mean_drop(s, half, after);
    for (size_t i = 0; i < s->suite_count; i++) measured_free(&after[i], s->suites[i].half[half].count);
    mem_free(after);
    return drop;
}

static Interval learned(Sweep *s, int half, const Model *m, const char *what) {
    Measured r = measured(&s->task.half[half], m, what);
    Interval learning = learning_of(s, half, &r);
    measured_free(&r, s->task.half[half].count);
    return learning;
}

/* whole: everything; else only what says whether tau is reached. */
static Point measure_checkpoint(Sweep *s, const Cell *c, const char *dir, bool whole) {
    bool adapter = is_adapter(dir);
    Model *m = s->base;
    if (adapter) adapter_load(m, dir, s->base_path, false);
    else m = model_load(dir, true);
    Point p = point_of(dir);
    p.learning = learned(s, SELECT, m, c->name).value;
    if (whole) {
        p.whole = true, p.reported = learned(s, REPORT, m, c->name);
        p.forgetting = forgetting_of(s, REPORT, m, c->name), p.select_forgetting = forgetting_of(s, SELECT, m, c->name).value;
    }
    if (adapter) adapter_free(m);
    else model_free(m);
    return p;
}

void measure_base(Sweep *s) {
    size_t tasks_known = 0;
    for (int h = 0; h < HALVES; h++) s->task.before[h] = measured(&s->task.half[h], s->base, "base");
    for (size_t i = 0; i < s->suite_count; i++) {
        Halves *suite = &s->suites[i];
        for (int h = 0; h < HALVES; h++) suite->before[h] = measured(&suite->half[h], s->base, "base");
        const Measure *m = &suite->half[REPORT];
        suite->known = m->kind != MEASURE_TEXT && measured_score(m, suite->before[REPORT].score).low > m->chance + 1e-12;
        tasks_known += suite->known;
    }
    s->by_text = !tasks_known;
    size_t known = tasks_known;
    for (size_t i = 0; i < s->suite_count && s->by_text; i++) known += s->suites[i].known = s->suites[i].half[REPORT].kind == MEASURE_TEXT;
    if (!known)
        bad_input("%s: the base knows none of the suites (their scores include chance) and there are no texts: nothing can be forgotten", json_name(s->doc));
    double learning = learning_of(s, SELECT, &s->task.before[SELECT]).value;
    if (learning >= s->tau) bad_input("%s: \"tau\" %g is what the base has learned already (%g): ask for more", json_name(s->doc), s->tau, learning);
}

/* ---- where the cell reaches tau ---- */

static const Point *between_at(const Cell *c, size_t step) {
    for (size_t i = 0; i < c->between_count; i++)
        if (c->between[i].step == step) return &c->between[i];
    return NULL;
}

/* In the place of what is known of that step. */
static void between_put(Cell *c, Point p) {
    size_t i = 0;
    while (i < c->between_count && c->between[i].step != p.step) i++;
    if (i == c->between_count) c->between = mem_resize(c->between, ++c->between_count, sizeof *c->between);
    c->between[i] = p;
}

static Point point_between(Sweep *s, Cell *c, size_t from, size_t step) {
    if (!between_at(c, step)) {
        go_back(s, c, from, step);
        char *dir = checkpoint_of(c, step);
        Point p = measure_checkpoint(s, c, dir, false);
        if (p.learning >= s->tau) set_aside(c, step);
        between_put(c, p);
        mem_free(dir);
    }
    return *between_at(c, step);
}

/* The first point of the curve that reaches tau; when that is more than a point above it, the run between it and the one before is halved until
 * the crossing is found or lies between two steps. What is asked depends on the curve alone, so what an earlier tau left changes nothing. True:
 * something new was measured. */
static bool match(Sweep *s, Cell *c) {
    size_t i = 1, known = c->between_count;
    while (i < c->curve_count && c->curve[i].learning < s->tau) i++;
    if (i == c->curve_count) return false;
    Point below = c->curve[i - 1], at = c->curve[i];
    while (at.learning > s->tau + s->point && at.step - below.step > 1) {
        Point middle = point_between(s, c, below.step, below.step + (at.step - below.step) / 2);
        if (middle.learning >= s->tau) at = middle;
        else below = middle;
    }
    char *dir = matched_dir(c);
    bool fresh = !at.whole;
    if (fresh) {
        if (point_of(dir).step != at.step) go_back(s, c, below.step, at.step), set_aside(c, at.step);
        at = measure_checkpoint(s, c, dir, true);
        between_put(c, at);
    }
    if (point_of(dir).step != at.step) os_remove_tree(dir); /* it was another tau's */
    c->matched = at, c->bracket = at.step - below.step;
    mem_free(dir);
    return fresh || c->between_count > known;
}

/* ---- its file ---- */

void put_point(JsonWriter *w, const char *key, const Point *p) {
    jw_object(w, key);
    jw_uint(w, "step", p->step), jw_uint(w, "new_tokens", p->new_tokens), jw_uint(w, "total_tokens", p->total_tokens);
    jw_double(w, "learning", p->learning);
    if (p->whole) {
        jw_double(w, "reported", p->reported.value), jw_double(w, "reported_low", p->reported.low), jw_double(w, "reported_high", p->reported.high);
        jw_double(w, "forgetting", p->forgetting.value), jw_double(w, "low", p->forgetting.low), jw_double(w, "high", p->forgetting.high);
        jw_double(w, "select_forgetting", p->select_forgetting);
    }
    jw_end_object(w);
}

static Point get_point(const JsonDoc *doc, const Json *o) {
    Point p = {.step = (size_t)json_int(doc, o, "step", 0, INT64_MAX, 0), .new_tokens = (size_t)json_int(doc, o, "new_tokens", 0, INT64_MAX, 0),
               .total_tokens = (size_t)json_int(doc, o, "total_tokens", 0, INT64_MAX, 0), .learning = json_need(doc, o, "learning", JSON_NUMBER)->number};
    p.whole = json_get(o, "forgetting") != NULL;
    if (!p.whole) return p;
    p.reported = (Interval){json_double(doc, o, "reported", 0), json_double(doc, o, "reported_low", 0), json_double(doc, o, "reported_high", 0)};
    p.forgetting = (Interval){json_double(doc, o, "forgetting", 0), json_double(doc, o, "low", 0), json_double(doc, o, "high", 0)};
    p.select_forgetting = json_double(doc, o, "select_forgetting", 0);
    return p;
}

static void put_points(JsonWriter *w, const char *key, const Point *points, size_t count) {
    jw_array(w, key);
    for (size_t i = 0; i < count; i++) put_point(w, NULL, &points[i]);
    jw_end_array(w);
}

static size_t get_points(const JsonDoc *doc, const char *key, Point **points) {
    const Json *list = json_need(doc, json_root(doc), key, JSON_ARRAY);
    *points = mem_resize(*points, list->count + 1, sizeof **points);
    for (size_t i = 0; i < list->count; i++) (*points)[i] = get_point(doc, &list->items[i]);
    return list->count;
}

static void cell_write(const Cell *c, const char *path) {
    JsonWriter w = {0};
    jw_object(&w, NULL);
    jw_int(&w, "v", 1), jw_string(&w, "key", c->key);
    put_points(&w, "curve", c->curve, c->curve_count), put_points(&w, "between", c->between, c->between_count);
    jw_end_object(&w);
    buf_char(&w.text, '\n');
    os_write_file(path, w.text.data, w.text.len);
    buf_free(&w.text);
}

/* The finished cell in `path`, if it is there and of the same key. */
static bool cell_read(Cell *c, const char *path) {
    if (!os_exists(path)) return false;
    JsonDoc *doc = json_read(path);
    bool same = !strcmp(json_string(doc, json_root(doc), "key", ""), c->key);
    if (same) c->curve_count = get_points(doc, "curve", &c->curve), c->between_count = get_points(doc, "between", &c->between);
    json_free(doc);
    return same;
}

/* The whole curve. At its first point that reaches tau the checkpoints around it are there: it is matched at once. */
static void cell_train(Sweep *s, Cell *c) {
    c->curve = mem_new(s->evaluations + 1, sizeof *c->curve);
    c->curve[0] = (Point){.learning = learning_of(s, SELECT, &s->task.before[SELECT]).value, .whole = true,
                          .reported = learning_of(s, REPORT, &s->task.before[REPORT])};
    for (c->curve_count = 1; c->curve_count <= s->evaluations;) {
        size_t step = s->steps * c->curve_count / s->evaluations;
        train_to(s, c, step, c->curve_count == 1);
        char *dir = checkpoint_of(c, step);
        Point *p = &c->curve[c->curve_count++];
        *p = measure_checkpoint(s, c, dir, true);
        if (!c->matched.step && p->learning >= s->tau) set_aside(c, step), match(s, c);
        mem_free(dir);
    }
}

void cell_run(Sweep *s, Cell *c, bool resume) {
    char *path = str_format("%s.json", c->dir);
    if (resume && cell_read(c, path)) {
        if (match(s, c)) cell_write(c, path);
    } else {
        cell_train(s, c);
        cell_write(c, path);
    }
    mem_free(path);
}
