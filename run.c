#include "run.h"

#include "hash.h"
#include "lora.h"
#include "weights.h"

#include <stdio.h>
#include <string.h>

/* ---- the folder ---- */

static bool is_run(const char *out) {
    char *path = os_join(out, "run.json");
    bool there = os_exists(path);
    mem_free(path);
    return there;
}

/* What a run that was killed before its run.json stood there leaves: its lock and a temporary file. */
static bool is_leftover(const char *out) {
    size_t count;
    char **names = os_list(out, &count);
    bool leftover = true;
    for (size_t i = 0; i < count; i++) {
        leftover = leftover && (!strcmp(names[i], "run.lock") || str_starts(names[i], "run.json.tmp-"));
        mem_free(names[i]);
    }
    mem_free(names);
    return leftover;
}

/* Names the first line in which two run.json differ. */
static _Noreturn void refuse_settings(const char *out, const Buf *old, const Buf *new) {
    const char *a = old->data, *b = new->data;
    for (;;) {
        size_t n = strcspn(a, "\n"), k = strcspn(b, "\n");
        if (n != k || memcmp(a, b, n) || !a[n] || !b[k]) {
            a += strspn(a, " "), b += strspn(b, " ");
            bad_input("%s: this run was begun with %.*s, now it is %.*s: give the same flags and files to --resume, or another --out", out,
                      (int)strcspn(a, ",\n"), a, (int)strcspn(b, ",\n"), b);
        }
        a += n + 1, b += k + 1;
    }
}

/* Removes an old run, or what is left of one, but for the lock, which is ours already, and run.json, which is about to be replaced:
 * as long as it stands there, the folder is known to be a run. */
static void clear_run(const char *out) {
    size_t count;
    char **names = os_list(out, &count);
    for (size_t i = 0; i < count; i++) {
        char *path = os_join(out, names[i]);
        if (strcmp(names[i], "run.lock") && strcmp(names[i], "run.json")) os_remove_tree(path);
        mem_free(path), mem_free(names[i]);
    }
    mem_free(names);
}

/* Refuses before anything is written, the lock included. True: there is a run to go on with. */
static bool may_open(const char *out, const char *settings_path, const Buf *settings, bool resume, bool force) {
    bool exists = os_exists(out);
    if (exists && !os_is_dir(out)) bad_input("%s exists and is no folder: name another --out", out);
    if (exists && !resume && !force) bad_input("%s exists: name another --out, add --resume to go on with it, or --force to replace it", out);
    if (exists && force && !is_run(out) && !is_leftover(out))
        bad_input("%s exists and is no run of finetune: --force does not replace it; name another --out", out);
    if (!resume) return false;
    if (!exists || (!is_run(out) && !is_leftover(out))) bad_input("%s holds no run to resume: leave out --resume to begin one", out);
    if (!is_run(out)) return false; /* it was killed before its first file: from the start */
    Buf old = os_read(settings_path);
    if (old.len != settings->len || memcmp(old.data, settings->data, old.len)) refuse_settings(out, &old, settings);
    buf_free(&old);
    return true;
}

Run *run_open(const char *out, const Buf *settings, bool resume, bool force) {
    Run *r = mem_new(1, sizeof *r);
    r->out = str_copy(out);
    char *lock = os_join(out, "run.lock"), *settings_path = os_join(out, "run.json"), *log = os_join(out, "log.jsonl"),
         *timing = os_join(out, "timing.jsonl"), *checkpoints = os_join(out, "checkpoints");
    resume = may_open(out, settings_path, settings, resume, force);
    os_make_dir(out);
    r->lock = os_lock(lock, "another finetune is training here: wait for it, or name another --out");
    if (!resume) {
        clear_run(out);
        os_write_file(settings_path, settings->data, settings->len);
    }
    os_make_dir(checkpoints);
    r->log = os_log_open(log);
    r->timing = os_log_open(timing);
    mem_free(lock), mem_free(settings_path), mem_free(log), mem_free(timing), mem_free(checkpoints);
    return r;
}

JsonDoc *run_settings(const char *out) {
    char *path = os_join(out, "run.json");
    JsonDoc *doc = os_exists(path) ? json_read(path) : NULL;
    mem_free(path);
    return doc;
}

void run_log(Run *r, JsonWriter *line) {
    os_log_line(r->log, line->text.data, line->text.len);
    r->log_bytes += line->text.len + 1;
    buf_free(&line->text);
}

void run_timing(Run *r, JsonWriter *line) {
    os_log_line(r->timing, line->text.data, line->text.len);
    buf_free(&line->text);
}

void run_close(Run *r) {
    os_log_close(r->log), os_log_close(r->timing);
    os_unlock(r->lock);
    mem_free(r->out), mem_free(r);
}

/* ---- room on the disk ---- */

enum { SMALL_FILES = 1 << 16, A_TENSOR = 256 };   /* bytes: configs and state; a tensor's entry in a header */

uint64_t published_bytes(const Model *m, Stored as) {
    uint64_t bytes = SMALL_FILES;
    for (size_t i = 0; i < m->count; i++) {
        const Param *p = m->params[i];
        if (!m->adapter || p->adapter) bytes += A_TENSOR + param_size(p) * (m->adapter || as == STORED_REAL ? 4 : 2);
    }
    return bytes;
}

uint64_t checkpoint_bytes(const Model *m) {
    uint64_t bytes = published_bytes(m, STORED_REAL);
    for (size_t i = 0; i < m->count; i++)
        if (!m->params[i]->frozen) bytes += 2 * (A_TENSOR + 4 * param_size(m->params[i]));
    return bytes;
}

void run_need_space(const char *out, const Model *m, Stored as, size_t saves) {
    enum { MOST = 4 };                /* the last two and the best are kept while the next is written */
    uint64_t bytes = checkpoint_bytes(m) * (saves < MOST ? saves : MOST) + published_bytes(m, as), there = os_tree_bytes(out);
    if (bytes > there) os_need_space(out, bytes - there, "what this run writes", "make room, or name an --out on another disk");
}

/* ---- saving a checkpoint ---- */

char *checkpoint_path(const Run *r, size_t step) { return str_format("%s/checkpoints/step-%08zu", r->out, step); }

enum { CONFIG_FILE, WEIGHTS_FILE, MOMENTS_FILE, CHECKPOINT_FILES };

static const char *const *checkpoint_files(const Model *m) {
    static const char *const model[] = {"config.json", "model.safetensors", "state.safetensors"},
                      *const adapter[] = {"adapter_config.json", "adapter_model.safetensors", "state.safetensors"};
    return m->adapter ? adapter : model;
}

static StTensor tensor_of(const Param *p, const char *name, const real *data) {
    return (StTensor){.name = name, .type = ST_F32, .rank = p->rank, .dims = {p->shape[0], p->shape[1]}, .data = (const unsigned char *)data,
                      .bytes = param_size(p) * 4};
}

static void write_moments(const Model *m, const char *path) {
    StTensor *t = mem_new(2 * m->count, sizeof *t);
    size_t count = 0;
    for (size_t i = 0; i < m->count; i++) {
        const Param *p = m->params[i];
        if (!p->m) continue;
        t[count++] = tensor_of(p, str_format("m.%s", p->name), p->m);
        t[count++] = tensor_of(p, str_format("v.%s", p->name), p->v);
    }
    st_write(path, t, count);
    for (size_t i = 0; i < count; i++) mem_free((void *)(uintptr_t)t[i].name);
    mem_free(t);
}

static void write_state(const char *dir, const char *const *files, const State *s) {
    JsonWriter w = {.pretty = true};
    char *path = os_join(dir, "state.json");
    jw_object(&w, NULL);
    jw_int(&w, "v", 1);
    jw_string(&w, "format", "finetune.c checkpoint");
    jw_int(&w, "bits_version", BITS_VERSION);
    jw_uint(&w, "step", s->step), jw_uint(&w, "tokens", s->tokens);
    if (s->new_tokens != s->tokens || s->total_tokens != s->tokens) jw_uint(&w, "new_tokens", s->new_tokens), jw_uint(&w, "total_tokens", s->total_tokens);
    jw_uint(&w, "best_step", s->best_step), jw_double(&w, "best_loss", s->best_loss);
    if (s->scored) jw_double(&w, "best_score", s->best_score);
    jw_uint(&w, "log_bytes", s->log_bytes);
    jw_object(&w, "files");
    for (int i = 0; i < CHECKPOINT_FILES; i++) {
        char *file = os_join(dir, files[i]), hex[65];
        OsMap map = os_map(file);
        sha256_of(map.data, map.size, hex);
        jw_object(&w, files[i]);
        jw_uint(&w, "bytes", map.size), jw_string(&w, "sha256", hex);
        jw_end_object(&w);
        os_unmap(&map);
        mem_free(file);
    }
    jw_end_object(&w), jw_end_object(&w);
    buf_char(&w.text, '\n');
    os_write_file(path, w.text.data, w.text.len);
    buf_free(&w.text), mem_free(path);
}

/* Steps of the checkpoints that are there, ascending; leftovers of a crash are removed. */
static size_t *list_steps(const Run *r, size_t *count) {
    char *dir = os_join(r->out, "checkpoints");
    size_t names, found = 0;
    char **list = os_list(dir, &names);
    size_t *steps = mem_new(names, sizeof *steps);
    for (size_t i = 0; i < names; i++) {
        unsigned long step;
        char end;
        if (sscanf(list[i], "step-%8lu%c", &step, &end) == 1) steps[found++] = (size_t)step; /* the names sort as the steps do */
        else if (str_starts(list[i], ".tmp-")) {
            char *path = os_join(dir, list[i]);
            os_remove_tree(path);
            mem_free(path);
        }
        mem_free(list[i]);
    }
    mem_free(list), mem_free(dir);
    *count = found;
    return steps;
}

static void prune(const Run *r, const State *s) {
    size_t count, *steps = list_steps(r, &count), end = count;
    while (end && steps[end - 1] > s->step) end--; /* later ones did not verify when this run was resumed */
    for (size_t i = 0; i < count; i++) {
        if (steps[i] == s->best_step || (i < end && i + 2 >= end)) continue;
        char *path = checkpoint_path(r, steps[i]);
        os_remove_tree(path);
        mem_free(path);
    }
    mem_free(steps);
}

void checkpoint_save(Run *r, const Model *m, const State *state) {
    State s = *state;
    char *place = checkpoint_path(r, s.step), *tmp = str_format("%s/checkpoints/.tmp-step-%08zu", r->out, s.step);
    char *moments = os_join(tmp, "state.safetensors");
    s.log_bytes = r->log_bytes;
    os_log_sync(r->log); /* a checkpoint that a power cut leaves has its log */
    os_remove_tree(tmp);
    os_make_dir(tmp);
    if (m->adapter) adapter_save(m, tmp);
    else model_save(m, tmp);
    write_moments(m, moments);
    char *generation = os_join(tmp, "generation_config.json");
    os_remove_tree(generation);
    write_state(tmp, checkpoint_files(m), &s);
    os_sync_dir(tmp);
    os_remove_tree(place);
    os_rename(tmp, place);
    mem_free(generation), mem_free(place), mem_free(tmp), mem_free(moments);
    prune(r, &s);
}

/* ---- loading ---- */

static void read_tensor(const SafeTensors *f, const char *path, const Param *p, const char *name, real *out) {
    const StTensor *t = st_find(f, name);
    if (!t || t->type != ST_F32 || t->bytes != param_size(p) * 4) bad_input("%s: no tensor %s of the model's shape", path, name);
    for (size_t i = 0; i < param_size(p); i++) {
        float x;
        memcpy(&x, t->data + 4 * i, 4);
        out[i] = (real)x;
    }
}

static void read_tensors(const char *dir, Model *m) {
    char *weights = os_join(dir, checkpoint_files(m)[WEIGHTS_FILE]), *moments = os_join(dir, checkpoint_files(m)[MOMENTS_FILE]);
    SafeTensors *w = st_open(weights), *s = st_open(moments);
    for (size_t i = 0; i < m->count; i++) {
        Param *p = m->params[i];
        if (!p->m) continue; /* frozen: as the base has it */
        char *first = str_format("m.%s", p->name), *second = str_format("v.%s", p->name);
        read_tensor(w, weights, p, p->name, p->w);
        read_tensor(s, moments, p, first, p->m);
        read_tensor(s, moments, p, second, p->v);
        mem_free(first), mem_free(second);
    }
    st_close(w), st_close(s);
    mem_free(weights), mem_free(moments);
    adapter_refresh(m);
}

void checkpoint_weights(const Run *r, Model *m, size_t step) {
    char *dir = checkpoint_path(r, step);
    read_tensors(dir, m);
    mem_free(dir);
}

/* Fails with bad_input when anything in the checkpoint is not what state.json says. */
static State verify(const char *dir, const char *const *names) {
    char *path = os_join(dir, "state.json");
    JsonDoc *doc = json_read(path);
    const Json *root = json_root(doc), *files = json_need(doc, root, "files", JSON_OBJECT);
    if (json_int(doc, root, "bits_version", 0, 1 << 30, 0) != BITS_VERSION)
        bad_input("%s: written by another bits_version than %d: finish that run with the version that began it", path, BITS_VERSION);
    for (int i = 0; i < CHECKPOINT_FILES; i++) {
        const Json *entry = json_need(doc, files, names[i], JSON_OBJECT);
        char *file = os_join(dir, names[i]), hex[65];
        hash_file(file, hex);
        if (strcmp(hex, json_string(doc, entry, "sha256", ""))) bad_input("%s: its SHA-256 is not the one in state.json", file);
        mem_free(file);
    }
    State s = {.step = (size_t)json_int(doc, root, "step", 0, INT64_MAX, 0), .tokens = (size_t)json_int(doc, root, "tokens", 0, INT64_MAX, 0),
               .best_step = (size_t)json_int(doc, root, "best_step", 0, INT64_MAX, 0), .best_loss = json_double(doc, root, "best_loss", 0),
               .scored = json_get(root, "best_score") != NULL, .best_score = json_double(doc, root, "best_score", 0),
               .log_bytes = (size_t)json_int(doc, root, "log_bytes", 0, INT64_MAX, 0)};
    s.new_tokens = (size_t)json_int(doc, root, "new_tokens", 0, INT64_MAX, (int64_t)s.tokens);
    s.total_tokens = (size_t)json_int(doc, root, "total_tokens", 0, INT64_MAX, (int64_t)s.tokens);
    json_free(doc);
    mem_free(path);
    return s;
}

static bool verifies(const char *dir, const char *const *names, State *s) {
    Catch c;
    if (!setjmp(catch_begin(&c)->jump)) {
        *s = verify(dir, names);
        catch_end(&c);
        return true;
    }
    fprintf(stderr, "checkpoint passed over: %s\n", c.text);
    return false;
}

bool checkpoint_load(Run *r, Model *m, State *state) {
    size_t count, *steps = list_steps(r, &count);
    char *log = os_join(r->out, "log.jsonl");
    bool found = false, there = count > 0;
    State s = {0};
    while (!found && count) {
        char *dir = checkpoint_path(r, steps[--count]);
        found = verifies(dir, checkpoint_files(m), &s);
        if (found) read_tensors(dir, m);
        mem_free(dir);
    }
    if (!found && there) bad_input("%s/checkpoints: none of its checkpoints is whole: restore one, or begin anew with --force", r->out);
    os_log_close(r->log);
    OsMap lines = os_map(log);
    size_t there_are = lines.size;
    os_unmap(&lines);
    if (there_are < s.log_bytes)
        bad_input("%s: holds %zu bytes, the checkpoint was written when it held %zu: restore it, or begin anew with --force", log, there_are, s.log_bytes);
    os_truncate(log, s.log_bytes);
    r->log = os_log_open(log);
    r->log_bytes = s.log_bytes;
    if (found) *state = s;
    mem_free(steps), mem_free(log);
    return found;
}

/* A model's weights in 16 bits: the checkpoint itself stays exact. */
static void publish_rounded(const char *dir, const char *out, Stored as) {
    char *from = os_join(dir, "model.safetensors"), *to = os_join(out, "model.safetensors");
    SafeTensors *s = st_open(from);
    StTensor *t = mem_new(st_count(s), sizeof *t);
    for (size_t i = 0; i < st_count(s); i++) {
        t[i] = *st_tensor(s, i);
        t[i].type = as == STORED_F16 ? ST_F16 : ST_BF16, t[i].rounded = true;
    }
    st_write(to, t, st_count(s));
    st_close(s);
    mem_free(from), mem_free(to), mem_free(t);
}

void checkpoint_publish(Run *r, const Model *m, const Tokenizer *tok, size_t step, Stored as) {
    char *dir = checkpoint_path(r, step);
    Model named = *m;
    named.config.saved_as = as;
    verify(dir, checkpoint_files(m)); /* a damaged one is not copied over what OUT holds */
    if (m->adapter) os_copy_file(dir, r->out, checkpoint_files(m)[CONFIG_FILE]);
    else model_save_config(&named, r->out);
    if (tok) tokenizer_save(tok, r->out);
    if (m->adapter || as == STORED_REAL) os_copy_file(dir, r->out, checkpoint_files(m)[WEIGHTS_FILE]);
    else publish_rounded(dir, r->out, as);
    mem_free(dir);
}
