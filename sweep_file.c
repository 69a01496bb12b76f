/* The description of a sweep: what stands in it, and what a cell of it is known by. */
#include "sweep_parts.h"

#include "cli.h"
#include "decimal.h"
#include "hash.h"
#include "lora.h"
#include "opening.h"
#include "os.h"

#include <string.h>

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

/* "ranks": [2, 4] is "strengths": {"rank": [2, 4]}. */
static void read_strengths(const Sweep *s, const Json *m, Method *method) {
    const Json *strengths = json_get(m, "strengths");
    method->strengths = list_of(s, m, "ranks", NULL), method->flag = method->strengths ? "rank" : NULL;
    if (strengths && method->strengths) bad_input("%s: line %zu: \"ranks\" and \"strengths\": give one of them", json_name(s->doc), strengths->line);
    if (strengths) {
        if (strengths->kind != JSON_OBJECT || strengths->count != 1)
            bad_input("%s: line %zu: \"strengths\" is one flag of train with its values: {\"ewc-lambda\": [10, 100]}", json_name(s->doc), strengths->line);
        method->flag = strengths->keys[0].string, method->strengths = list_of(s, strengths, method->flag, NULL);
    }
    check_numbers(s, method->strengths, method->flag);
}

static void read_methods(Sweep *s, const Json *root) {
    static const char *const keys[] = {"name", "flags", "rates", "ranks", "strengths"};
    const Json *methods = list_of(s, root, "methods", NULL), *rates = list_of(s, root, "rates", NULL);
    if (!methods) bad_input("%s: \"methods\" is missing: a list of {\"name\", \"flags\", \"rates\", \"ranks\"}", json_name(s->doc));
    s->methods = mem_new(methods->count, sizeof *s->methods);
    for (size_t i = 0; i < methods->count; i++) {
        const Json *m = &methods->items[i];
        if (m->kind != JSON_OBJECT) bad_input("%s: line %zu: a method is an object, found %s", json_name(s->doc), m->line, json_kind_name(m->kind));
        check_keys(s, m, keys, sizeof keys / sizeof *keys);
        Method *method = &s->methods[s->method_count++];
        *method = (Method){.name = json_need(s->doc, m, "name", JSON_STRING)->string, .flags = flags_of(s, m), .rates = list_of(s, m, "rates", rates)};
        if (!*method->name || strpbrk(method->name, "/\\ \t\n.")) bad_input("%s: line %zu: a method's name is a word", json_name(s->doc), m->line);
        if (!method->rates) bad_input("%s: line %zu: method %s has no \"rates\"", json_name(s->doc), m->line, method->name);
        check_numbers(s, method->rates, "rates"), read_strengths(s, m, method);
        size_t cells = method->rates->count * (method->strengths ? method->strengths->count : 1);
        if (i && cells != s->cells)
            bad_input("%s: line %zu: method %s has %zu cells (rates x %s), the first has %zu: give each the same number of trials", json_name(s->doc),
                      m->line, method->name, cells, method->flag ? method->flag : "ranks", s->cells);
        s->cells = cells;
        for (size_t k = 0; k < i; k++)
            if (!strcmp(s->methods[k].name, method->name)) bad_input("%s: line %zu: two methods are called %s", json_name(s->doc), m->line, method->name);
    }
}

static Halves open_halves(const Sweep *s, const char *path, const char *name, bool text) {
    static const Half halves[HALVES] = {HALF_SELECT, HALF_REPORT};
    Halves h = {.known = false};
    for (int i = 0; i < HALVES; i++)
        h.half[i] = text ? measure_text(path, name, halves[i], s->tok, s->base->config.ctx)
                         : measure_task(path, name, halves[i], s->tok, NULL, s->base_path, bits_double(0x7ff8000000000000), (uint32_t)s->seed);
    return h;
}

static void open_measures(Sweep *s, const Json *root) {
    const Json *suites = list_of(s, root, "suites", NULL), *texts = list_of(s, root, "texts", NULL);
    size_t tasks = suites ? suites->count : 0, count = tasks + (texts ? texts->count : 0);
    if (!count) bad_input("%s: \"suites\" or \"texts\" is needed: what may be forgotten", json_name(s->doc));
    const char *test = json_string(s->doc, root, "test", NULL), *text = json_string(s->doc, root, "test_text", NULL);
    if (!test == !text) bad_input("%s: one of \"test\" (rows with answers) and \"test_text\" says what is to be learned", json_name(s->doc));
    s->task = open_halves(s, test ? test : text, "new", !test);
    s->suites = mem_new(count, sizeof *s->suites);
    for (size_t i = 0; i < count; i++) {
        const Json *item = i < tasks ? &suites->items[i] : &texts->items[i - tasks];
        if (item->kind != JSON_STRING) bad_input("%s: line %zu: \"suites\" and \"texts\" hold names of files", json_name(s->doc), item->line);
        s->suites[i] = open_halves(s, item->string, strrchr(item->string, '/') ? strrchr(item->string, '/') + 1 : item->string, i >= tasks);
    }
    s->suite_count = count;
}

Sweep sweep_open(const char *path, const char *out) {
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
    s.point = s.task.half[SELECT].kind == MEASURE_TEXT ? s.tau / 100 : 0.01;
    return s;
}

/* ---- a cell ---- */

/* A flag that names a file or a folder stands for what is in it. */
static void put_flags(JsonWriter *w, const char *key, const Json *flags) {
    jw_object(w, key);
    for (size_t i = 0; flags && i < flags->count; i++) {
        const Json *value = &flags->items[i];
        char hex[65];
        if (value->kind != JSON_STRING || !os_exists(value->string)) jw_copy(w, flags->keys[i].string, value);
        else hash_path(value->string, hex), jw_string(w, flags->keys[i].string, hex);
    }
    jw_end_object(w);
}

static void put_measures(JsonWriter *w, const Halves *h) {
    jw_string(w, NULL, h->half[SELECT].hash), jw_double(w, NULL, h->half[SELECT].chance), jw_int(w, NULL, h->half[SELECT].kind);
}

static void cell_key(const Sweep *s, Cell *c) {
    JsonWriter w = {0};
    jw_object(&w, NULL);
    jw_int(&w, "bits_version", BITS_VERSION), jw_string(&w, "base", s->base_hash), jw_string(&w, "train", s->train_hash);
    jw_array(&w, "measures");
    put_measures(&w, &s->task);
    for (size_t i = 0; i < s->suite_count; i++) put_measures(&w, &s->suites[i]);
    jw_end_array(&w);
    put_flags(&w, "flags", s->flags), put_flags(&w, "method", c->method->flags);
    jw_double(&w, "rate", c->rate);
    if (c->method->flag) jw_double(&w, c->method->flag, c->strength);
    jw_uint(&w, "steps", s->steps), jw_uint(&w, "evaluations", s->evaluations), jw_uint(&w, "seed", s->seed);
    jw_end_object(&w);
    sha256_of(w.text.data, w.text.len, c->key);
    buf_free(&w.text);
}

Cell cell_open(const Sweep *s, size_t i) {
    const Method *m = &s->methods[i / s->cells];
    size_t k = i % s->cells, strengths = m->strengths ? m->strengths->count : 1;
    char rate[DECIMAL_MAX], strength[DECIMAL_MAX];
    Cell c = {.method = m, .rate = m->rates->items[k / strengths].number, .strength = m->strengths ? m->strengths->items[k % strengths].number : 0};
    decimal_print(rate, c.rate), decimal_print(strength, c.strength);
    if (!m->flag) c.name = str_format("%s-%s", m->name, rate);
    else c.name = str_format("%s-%s-%s%s", m->name, rate, strcmp(m->flag, "rank") ? m->flag : "r", strength);
    c.dir = str_format("%s/cells/%s", s->out, c.name);
    cell_key(s, &c);
    return c;
}
