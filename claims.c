#include "claims.h"

#include "decimal.h"
#include "hash.h"
#include "lora.h"
#include "os.h"
#include "trainer.h"
#include "weights.h"

#include <stdio.h>
#include <string.h>

/* ---- the record: a file of lines, one a finished cell ---- */

struct Record {
    char *path;
    JsonDoc **lines;
    size_t count;
};

static void record_add(Record *r, const char *line, size_t n) {
    JsonDoc *doc = json_parse(line, n, r->path, r->count + 1);
    json_need(doc, json_root(doc), "key", JSON_STRING), json_need(doc, json_root(doc), "results", JSON_ARRAY);
    r->lines = mem_resize(r->lines, r->count + 1, sizeof *r->lines);
    r->lines[r->count++] = doc;
}

/* A last line without its end was being written when the machine stopped: it is cut off. */
static Record *record_open(const char *path) {
    Record *r = mem_new(1, sizeof *r);
    r->path = str_copy(path);
    if (!os_exists(path)) return r;
    Buf text = os_read(path);
    size_t start = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] != '\n') continue;
        record_add(r, text.data + start, i - start);
        start = i + 1;
    }
    if (start < text.len) os_truncate(path, start);
    buf_free(&text);
    return r;
}

static const JsonDoc *record_find(const Record *r, const char *key) {
    for (size_t i = 0; i < r->count; i++)
        if (!strcmp(json_string(r->lines[i], json_root(r->lines[i]), "key", ""), key)) return r->lines[i];
    return NULL;
}

static const JsonDoc *record_append(Record *r, const Buf *line) {
    OsLog *log = os_log_open(r->path);
    os_log_line(log, line->data, line->len);
    os_log_close(log);
    record_add(r, line->data, line->len);
    return r->lines[r->count - 1];
}

static void record_free(Record *r) {
    for (size_t i = 0; i < r->count; i++) json_free(r->lines[i]);
    mem_free(r->lines), mem_free(r->path), mem_free(r);
}

/* ---- the laboratory ---- */

Lab lab_open(const char *base, const char *out, const char *record, size_t seeds) {
    static const StoriesSize size = {.bytes = 4000000, .valid = 200, .items = 200, .rows = 1200};
    Lab l = {.base = base, .out = out, .seeds = seeds, .world = os_join(out, "stories"), .log = os_join(out, "log.txt")};
    ModelFlags f = {.model = base};
    Model *m = open_weights(&f, true);
    l.tok = open_tokenizer(&f, m, true);
    base_hash(base, l.base_hash);
    char *data = os_join(out, "data");
    os_make_dir(data), mem_free(data);
    stories_write(l.world, 1, &size);
    for (int i = 0; i < TASKS; i++) {
        char *path = str_format("%s/task-%s-test.jsonl", l.world, task_names[i]);
        l.tasks[i] = measure_task(path, task_names[i], HALF_REPORT, l.tok, "plain", NULL, 0, 1);
        mem_free(path);
    }
    for (int i = 0; i < SKILLS; i++) {
        char *path = str_format("%s/suite-%s.jsonl", l.world, skill_names[i]);
        l.skills[i] = measure_task(path, skill_names[i], HALF_REPORT, l.tok, "plain", NULL, bits_double(0x7ff8000000000000), 1);
        mem_free(path);
    }
    char *path = os_join(l.world, "valid.txt");
    l.stories = measure_text(path, "stories", HALF_REPORT, l.tok, m->config.ctx);
    l.record = record_open(record);
    sha256_begin(&l.results);
    mem_free(path), model_free(m);
    return l;
}

void lab_close(Lab *l) {
    for (int i = 0; i < TASKS; i++) measure_free(&l->tasks[i]);
    for (int i = 0; i < SKILLS; i++) measure_free(&l->skills[i]);
    buf_free(&l->picture), measure_free(&l->stories), tokenizer_free(l->tok), record_free(l->record);
    mem_free(l->world), mem_free(l->log);
}

char *lab_untrained(const Lab *l) {
    char *dir = str_format("%s/data/untrained", l->out);
    ModelFlags f = {.model = l->base};
    Model *m = open_weights(&f, false);
    model_init(m, 1);
    os_make_dir(dir);
    model_save(m, dir), tokenizer_save(l->tok, dir);
    model_free(m);
    return dir;
}

/* ---- a cell's key ---- */

/* The words with every file in its hash's place: the same cell in any folder. */
static void put_words(JsonWriter *w, const char *key, const char *words) {
    jw_array(w, key);
    for (const char *at = words; at && *at; at += strspn(at, " ")) {
        size_t n = strcspn(at, " ");
        char *word = str_copy_n(at, n), hash[65];
        if (strchr(word, '/')) hash_file(word, hash), jw_string(w, NULL, hash);
        else jw_string(w, NULL, word);
        mem_free(word), at += n;
    }
    jw_end_array(w);
}

static void put_file(JsonWriter *w, const char *key, const char *path) {
    char hash[65];
    if (!path) return;
    hash_path(path, hash), jw_string(w, key, hash);
}

static void cell_key(const Lab *l, const Cell *c, char key[65]) {
    JsonWriter w = {0};
    jw_object(&w, NULL);
    jw_int(&w, "bits_version", BITS_VERSION), jw_string(&w, "base", l->base_hash), jw_uint(&w, "seed", c->seed), jw_uint(&w, "on", c->on);
    jw_array(&w, "suites");
    for (int i = 0; i < TASKS; i++) jw_string(&w, NULL, l->tasks[i].hash);
    for (int i = 0; i < SKILLS; i++) jw_string(&w, NULL, l->skills[i].hash);
    jw_string(&w, NULL, l->stories.hash), jw_end_array(&w);
    jw_array(&w, "stages");
    for (size_t i = 0; i < c->count; i++) {
        const Stage *s = &c->stages[i];
        jw_object(&w, NULL);
        jw_uint(&w, "model", s->model), jw_uint(&w, "adapter", s->adapter);
        put_file(&w, "data", s->data), put_words(&w, "flags", s->flags), put_file(&w, "fisher", s->fisher);
        jw_end_object(&w);
    }
    jw_end_array(&w);
    jw_array(&w, "probes");
    for (size_t i = 0; i < c->probe_count; i++) {
        const Probe *p = &c->probes[i];
        jw_int(&w, NULL, p->task), jw_uint(&w, NULL, p->wording), jw_double(&w, NULL, p->temperature), jw_uint(&w, NULL, p->seed);
    }
    jw_end_array(&w);
    jw_bool(&w, "curve", c->curve);
    if (c->rates) {
        jw_string(&w, "rates", c->rates), jw_string(&w, "strengths", c->strengths ? c->strengths : ""), jw_double(&w, "tau", c->tau),
            jw_uint(&w, "steps", c->steps), jw_uint(&w, "evaluations", c->evaluations);
        put_file(&w, "begin", c->begin);
    }
    jw_end_object(&w);
    sha256_of(w.text.data, w.text.len, key);
    buf_free(&w.text);
}

/* ---- running a cell ---- */

typedef struct {
    Lab *lab;
    const Cell *cell;
    char *dir, *ends[STAGES + 1]; /* folders: of the cell; of its stages' ends, [0] the base */
    double *seconds;              /* of each result */
} Running;

static void beside(const Lab *l, const char *command, const char *first, const Words *w, const char *what) {
    int code = os_run_beside("finetune", command, first, (int)w->count, w->list, l->log);
    if (code) work_failed("%s: finetune %s ended with %d, see %s; finished cells are kept", what, command, code, l->log);
}

static void words_split(Words *w, const char *words) {
    for (const char *at = words; at && *at; at += strspn(at, " ")) {
        size_t n = strcspn(at, " ");
        char *word = str_copy_n(at, n);
        words_add(w, word);
        mem_free(word), at += n;
    }
}

void lab_fisher(const Lab *l, const char *model, const char *data, const char *path) {
    Words w = {0};
    words_pair(&w, "--model", model), words_pair(&w, "--data", data), words_pair(&w, "--out", path), words_number(&w, "--sequences", 200);
    words_add(&w, "--force");
    beside(l, "check", "fisher", &w, "EWC");
    words_free(&w);
}

static void train_stage(Running *r, size_t number) {
    const Stage *s = &r->cell->stages[number - 1];
    char *out = r->ends[number] = str_format("%s/stage-%zu", r->dir, number);
    char *fisher = s->fisher ? str_format("%s/fisher-%zu.safetensors", r->dir, number) : NULL;
    if (fisher) lab_fisher(r->lab, r->ends[s->model], s->fisher, fisher);
    Words w = {0};
    words_add(&w, r->ends[s->model]);
    if (s->adapter) words_pair(&w, "--adapter", r->ends[s->adapter]), words_add(&w, "--other-base");
    words_pair(&w, "--data", s->data), words_pair(&w, "--out", out), words_number(&w, "--seed", (double)r->cell->seed), words_add(&w, "--force");
    words_split(&w, s->flags);
    if (fisher) words_pair(&w, "--ewc", fisher);
    double begun = os_seconds();
    train_beside(&w, r->cell->row, r->lab->log);
    r->seconds[number - 1] = os_seconds() - begun;
    words_free(&w), mem_free(fisher);
}

static void put_items(JsonWriter *w, Measure *s, const Model *m) {
    Tick quiet = tick_begin(NULL, s->count);
    Measured r = measure_model(s, m, false, &quiet);
    char *items = mem_new(s->count + 1, 1);
    for (size_t i = 0; i < s->count; i++) items[i] = r.score[i] > 0.5 ? '1' : '0';
    jw_string(w, s->name, items);
    mem_free(items), measured_free(&r, s->count);
}

typedef struct {
    Task task;
    char *kept;
} Forms;

static void take_form(void *context, const Answer *a) {
    Forms *f = context;
    bool ends = a->reason == STOP_END || a->reason == STOP_STRING;
    f->kept[a->item] = ends && task_form(f->task, a->text->data ? a->text->data : "") ? '1' : '0';
}

static void put_probe(JsonWriter *w, const Lab *l, const Probe *p, const Model *m) {
    const char *why;
    char *path = data_wording(l, p->task, p->wording);
    Suite s = suite_open(path, NULL, "plain", NULL, NULL, l->tok, true, &why);
    Forms f = {p->task, mem_new(s.count + 1, 1)};
    GenerateOptions o = {.sample = {.temperature = p->temperature, .top_p = 1, .repetition_penalty = 1, .seed = p->seed}};
    Tick t = tick_begin(NULL, s.count);
    suite_answer(&s, m, &o, &t, take_form, &f);
    jw_string(w, NULL, f.kept);
    mem_free(f.kept), suite_free(&s), mem_free(path);
}

/* Of log.jsonl the steps with a held-out loss: step, mean loss of the training steps since the one before, held-out loss. */
static void put_curve(JsonWriter *w, const char *dir) {
    char *path = os_join(dir, "log.jsonl");
    double sum = 0, count = 0, nothing = bits_double(0x7ff8000000000000);
    jw_array(w, "curve");
    JsonLines l = json_lines(path);
    for (const Json *line; (line = json_next(&l));) {
        double loss = json_double(l.doc, line, "loss", nothing), held = json_double(l.doc, line, "valid_loss", nothing);
        if (is_finite(loss)) sum += loss, count++;
        if (!is_finite(held)) continue;
        jw_array(w, NULL);
        jw_double(w, NULL, json_double(l.doc, line, "step", 0)), jw_double(w, NULL, sum / count), jw_double(w, NULL, held);
        jw_end_array(w);
        sum = count = 0;
    }
    jw_end_array(w);
    mem_free(path);
}

/* What the run wrote of itself: steps, supervised tokens, parameters trained. */
static void put_run(JsonWriter *w, const char *dir) {
    char *path = os_join(dir, "run.json");
    JsonDoc *run = json_read(path);
    LogEnd end = log_end(dir);
    jw_double(w, "steps", end.steps), jw_double(w, "tokens", end.tokens);
    jw_copy(w, "trained", json_need(run, json_need(run, json_root(run), "model", JSON_OBJECT), "trainable", JSON_NUMBER));
    json_free(run), mem_free(path);
}

LogEnd log_end(const char *dir) {
    char *path = os_join(dir, "log.jsonl");
    LogEnd end = {0};
    JsonLines l = json_lines(path);
    for (const Json *line; (line = json_next(&l));)
        end.steps = json_double(l.doc, line, "step", end.steps), end.tokens = json_double(l.doc, line, "tokens", end.tokens);
    mem_free(path);
    return end;
}

/* What the model scores that stage `number` ends with. */
static void put_stage(JsonWriter *w, const Running *r, size_t number) {
    Lab *l = r->lab;
    const Cell *c = r->cell;
    const Stage *s = number ? &c->stages[number - 1] : NULL;
    ModelFlags f = {.model = number ? r->ends[s->model] : l->base, .other_base = true};
    if (s && !s->data) f.adapter = s->adapter ? r->ends[s->adapter] : NULL;
    else if (s && is_adapter(r->ends[number])) f.adapter = r->ends[number];
    else if (s) f.model = r->ends[number];
    Model *m = open_weights(&f, true);
    jw_object(w, NULL);
    jw_object(w, "items");
    for (int i = 0; i < TASKS; i++)
        if (c->on & 1u << i) put_items(w, &l->tasks[i], m);
    for (int i = 0; i < SKILLS && c->on & ON_SKILLS; i++) put_items(w, &l->skills[i], m);
    jw_end_object(w);
    if (c->on & ON_STORIES) {
        Measured bits = measure_model(&l->stories, m, false, NULL);
        jw_double(w, "bits_per_byte", measured_score(&l->stories, bits.score).value);
        measured_free(&bits, l->stories.count);
    }
    jw_array(w, "kept");
    for (size_t i = 0; i < c->probe_count; i++) put_probe(w, l, &c->probes[i], m);
    jw_end_array(w);
    if (s && s->data) put_run(w, r->ends[number]);
    if (s && s->data && c->curve) put_curve(w, r->ends[number]);
    jw_end_object(w);
    model_free(m);
}

static size_t run_stages(Running *r, JsonWriter *w) {
    const Cell *c = r->cell;
    r->seconds = mem_new(STAGES, sizeof *r->seconds);
    r->ends[0] = str_copy(r->lab->base);
    if (!c->count) put_stage(w, r, 0);
    for (size_t i = 1; i <= c->count; i++) {
        if (c->stages[i - 1].data) train_stage(r, i);
        put_stage(w, r, i);
    }
    return c->count;
}

/* ---- a sweep in a cell ---- */

/* Words of flags as JSON members: "--lora --rank 4" is "lora": true, "rank": 4. */
static void put_flags(JsonWriter *w, const char *words) {
    Words list = {0};
    words_split(&list, words);
    jw_object(w, "flags");
    for (size_t i = 0; i < list.count; i++) {
        const char *flag = list.list[i] + 2, *value = i + 1 < list.count && !str_starts(list.list[i + 1], "--") ? list.list[++i] : NULL;
        double number;
        if (!value) jw_bool(w, flag, true);
        else if (decimal_parse(value, strlen(value), &number)) jw_double(w, flag, number);
        else jw_string(w, flag, value);
    }
    jw_end_object(w);
    words_free(&list);
}

static Buf sweep_text(const Running *r) {
    const Lab *l = r->lab;
    const Cell *c = r->cell;
    JsonWriter d = {.pretty = true};
    char *test = str_format("%s/task-json-test.jsonl", l->world), *stories = os_join(l->world, "valid.txt"), *rates = str_format("[%s]", c->rates),
         *strengths = str_format("{%s}", c->strengths ? c->strengths : "");
    JsonDoc *list = json_parse(rates, strlen(rates), c->row, 1), *also = json_parse(strengths, strlen(strengths), c->row, 1);
    jw_object(&d, NULL);
    jw_string(&d, "base", c->begin ? c->begin : l->base), jw_string(&d, "train", c->stages[0].data), jw_string(&d, "test", test);
    if (!c->begin) jw_array(&d, "suites"); /* an untrained model knows none; neither may a model of another world: then the stories count */
    for (int i = 0; i < SKILLS && !c->begin; i++) {
        char *path = str_format("%s/suite-%s.jsonl", l->world, skill_names[i]);
        jw_string(&d, NULL, path), mem_free(path);
    }
    if (!c->begin) jw_end_array(&d);
    jw_array(&d, "texts"), jw_string(&d, NULL, stories), jw_end_array(&d);
    jw_double(&d, "tau", c->tau), jw_uint(&d, "steps", c->steps), jw_uint(&d, "evaluations", c->evaluations), jw_uint(&d, "seed", c->seed);
    jw_array(&d, "methods");
    jw_object(&d, NULL);
    jw_string(&d, "name", "cell"), put_flags(&d, c->stages[0].flags), jw_copy(&d, "rates", json_root(list));
    if (c->strengths) jw_copy(&d, "strengths", json_root(also));
    jw_end_object(&d), jw_end_array(&d), jw_end_object(&d);
    json_free(list), json_free(also), mem_free(test), mem_free(stories), mem_free(rates), mem_free(strengths);
    return d.text;
}

/* timing.jsonl has a line for each cell that was matched. */
static void read_seconds(Running *r, const char *out, const Json *cells) {
    char *path = os_join(out, "timing.jsonl");
    r->seconds = mem_new(cells->count + 1, sizeof *r->seconds);
    JsonLines l = json_lines(path);
    for (const Json *line; (line = json_next(&l));)
        for (size_t i = 0; i < cells->count; i++)
            if (!strcmp(json_string(l.doc, &cells->items[i], "cell", ""), json_string(l.doc, line, "cell", "")))
                r->seconds[i] = json_double(l.doc, line, "seconds", 0);
    mem_free(path);
}

static size_t run_sweep(Running *r, JsonWriter *w) {
    char *path = os_join(r->dir, "sweep.json"), *out = os_join(r->dir, "frontier"), *result = os_join(out, "frontier.json");
    Buf text = sweep_text(r);
    Words words = {0};
    os_write_file(path, text.data, text.len);
    words_add(&words, path), words_pair(&words, "--out", out), words_add(&words, "--resume");
    beside(r->lab, "forget", "--sweep", &words, r->cell->row);
    JsonDoc *frontier = json_read(result);
    const Json *cells = json_need(frontier, json_root(frontier), "cells", JSON_ARRAY);
    size_t count = cells->count;
    for (size_t i = 0; i < count; i++) jw_copy(w, NULL, &cells->items[i]);
    read_seconds(r, out, cells);
    json_free(frontier), words_free(&words), buf_free(&text);
    mem_free(path), mem_free(out), mem_free(result);
    return count;
}

/* ---- all together ---- */

static const JsonDoc *run_cell(Lab *l, const Cell *c, const char *key) {
    Running r = {.lab = l, .cell = c, .dir = str_format("%s/cells/%.16s", l->out, key)};
    JsonWriter w = {0};
    fprintf(stderr, "claims  cell %zu  %s: %s%s%s, order %zu, seed %zu\n", l->done + 1, c->row, c->method, *c->setting ? ", " : "", c->setting, c->order + 1,
        c->seed);
    os_make_dir(r.dir);
    jw_object(&w, NULL);
    jw_int(&w, "v", 1), jw_string(&w, "key", key), jw_string(&w, "row", c->row), jw_string(&w, "method", c->method),
        jw_string(&w, "setting", c->setting);
    jw_uint(&w, "order", c->order), jw_uint(&w, "seed", c->seed), jw_int(&w, "bits_version", BITS_VERSION);
    jw_array(&w, "results");
    size_t results = c->rates ? run_sweep(&r, &w) : run_stages(&r, &w);
    jw_end_array(&w);
    jw_array(&w, "seconds");
    for (size_t i = 0; i < results; i++) jw_float(&w, NULL, (float)r.seconds[i]);
    jw_end_array(&w), jw_end_object(&w);
    const JsonDoc *line = record_append(l->record, &w.text);
    os_remove_tree(r.dir);
    for (size_t i = 0; i <= STAGES; i++) mem_free(r.ends[i]);
    mem_free(r.dir), mem_free(r.seconds), buf_free(&w.text), l->run++;
    return line;
}

const Json *lab_run(Lab *l, const Cell *c) {
    char key[65];
    cell_key(l, c, key);
    const JsonDoc *line = record_find(l->record, key);
    if (!line) line = run_cell(l, c, key);
    const Json *results = json_get(json_root(line), "results");
    JsonWriter w = {0};
    jw_copy(&w, NULL, results);
    sha256_add(&l->results, key, 64), sha256_add(&l->results, w.text.data, w.text.len);
    buf_free(&w.text), l->done++;
    return results;
}

const Json **lab_seeds(Lab *l, Cell c) {
    const Json **results = mem_new(l->seeds, sizeof *results);
    for (c.seed = 1; c.seed <= l->seeds; c.seed++) results[c.seed - 1] = lab_run(l, &c);
    return results;
}

double lab_seconds(const Lab *l, const Json *results, size_t at) {
    for (size_t i = 0; i < l->record->count; i++) {
        const Json *line = json_root(l->record->lines[i]), *seconds = json_get(line, "seconds");
        if (json_get(line, "results") == results && seconds && at < seconds->count) return seconds->items[at].number;
    }
    return 0;
}
