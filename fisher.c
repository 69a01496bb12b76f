#include "fisher.h"

#include "json.h"
#include "lora.h"
#include "parallel.h"
#include "weights.h"

#include <string.h>

#define NOTE "fisher"

/* ---- one sequence ---- */

/* The token that the model would say here: drawn with the weights exp(z - largest). */
static int32_t draw(const real *z, size_t V, double *weights, uint32_t seed, uint64_t place, uint64_t sequence) {
    double top = (double)z[0], total = 0, sum = 0;
    for (size_t i = 1; i < V; i++)
        if ((double)z[i] > top) top = (double)z[i];
    for (size_t i = 0; i < V; i++) total += weights[i] = d_exp((double)z[i] - top);
    double point = (double)rng_uniform(seed, RNG_FISHER, place, sequence) * total;
    for (size_t i = 0; i < V; i++) {
        sum += weights[i];
        if (point < sum) return (int32_t)i;
    }
    return (int32_t)V - 1;
}

/* Every supervised target becomes the model's own word, in the context of the text. */
static void draw_targets(const Model *m, Pass *p, Batch *b, uint32_t seed, uint64_t sequence) {
    size_t V = m->config.vocab;
    real *logits = mem_new(V, sizeof *logits);
    double *weights = mem_new(V, sizeof *weights);
    model_forward(m, p, b);
    for (size_t n = 0; n < b->tokens; n++) {
        if (b->targets[n] < 0 || !(b->weights[n] > 0)) continue;
        model_logits(m, p, n, 1, logits);
        b->targets[n] = draw(logits, V, weights, seed, n, sequence);
    }
    mem_free(logits), mem_free(weights);
}

/* F += g², a chain over the sequences. */
static void add_squares(const Fisher *f, const Model *m) {
    for (size_t i = 0; i < f->params; i++) {
        const real *g = m->params[i]->g;
        real *v = f->values[i];
        size_t n = param_size(m->params[i]);
        if (!v) continue;
        PARALLEL_FOR(n > WORTH_THREADS)
        for (size_t j = 0; j < n; j++) v[j] = real_fma(g[j], g[j], v[j]);
    }
}

static Fisher *empty(const Model *m) {
    Fisher *f = mem_new(1, sizeof *f);
    f->params = m->count;
    f->values = mem_new(m->count, sizeof *f->values);
    return f;
}

Fisher *fisher_new(Model *m, Pass *p, const Source *s, size_t sequences, bool empirical, uint32_t seed) {
    Fisher *f = empty(m);
    Batch b = {0}, all = {0};         /* a sequence; a sample, which may be several */
    double sum = 0;
    size_t used = 0;
    f->empirical = empirical, f->seed = seed;
    for (size_t i = 0; i < f->params; i++)
        if (m->params[i]->g) f->values[i] = mem_new(param_size(m->params[i]), sizeof(real));
    for (size_t i = 0; i < s->samples; i++) {
        batch_clear(&all);
        s->add(s->self, i, &all);
        for (size_t j = 0; j < all.segment_count && (!sequences || used < sequences); j++) {
            batch_clear(&b);
            batch_add_segment(&b, &all, j);
            for (size_t n = 0; n < b.tokens; n++) b.weights[n] = b.weights[n] > 0;
            if (!(batch_weight(&b) > 0)) continue;
            if (!empirical) draw_targets(m, p, &b, seed, used);
            model_begin_gradients(m, p, b.ids, b.tokens);
            model_step(m, p, &b, 1, true, &sum);
            model_finish_gradients(m, p);
            if (!is_finite(sum)) work_failed("the Fisher information: the loss of sample %zu is not finite: the model's weights are not usable", i + 1);
            add_squares(f, m);
            used++;
        }
    }
    if (!used) bad_input("the Fisher information: no sample has a token to predict");
    f->sequences = used;
    real share = (real)(1 / (double)used);
    for (size_t i = 0; i < f->params; i++)
        for (size_t j = 0; f->values[i] && j < param_size(m->params[i]); j++) f->values[i][j] *= share;
    batch_free(&b), batch_free(&all);
    return f;
}

void fisher_free(Fisher *f) {
    if (!f) return;
    for (size_t i = 0; i < f->params; i++) mem_free(f->values[i]);
    mem_free(f->values), mem_free(f);
}

size_t fisher_bytes(const Fisher *f, const Model *m) {
    size_t bytes = 0;
    for (size_t i = 0; i < f->params; i++) bytes += f->values[i] ? param_size(m->params[i]) * sizeof(real) : 0;
    return bytes;
}

/* ---- its file ---- */

static Buf note(const Fisher *f) {
    JsonWriter w = {0};
    jw_object(&w, NULL);
    jw_int(&w, "v", 1), jw_int(&w, "bits_version", BITS_VERSION);
    jw_string(&w, "variant", f->empirical ? "empirical: the targets are the text's" : "true: the targets are drawn from the model");
    jw_uint(&w, "sequences", f->sequences), jw_uint(&w, "seed", f->seed);
    jw_string(&w, "normalised", "mean over sequences of the squared gradient of the sum of log p");
    jw_double(&w, "earlier", f->earlier);
    jw_string(&w, "base_tensors", f->base), jw_string(&w, "adapter", f->adapter), jw_string(&w, "data", f->data);
    jw_end_object(&w);
    return w.text;
}

void fisher_write(const Fisher *f, const Model *m, const char *path) {
    StTensor *t = mem_new(f->params, sizeof *t);
    size_t count = 0;
    Buf text = note(f);
    for (size_t i = 0; i < f->params; i++) {
        const Param *p = m->params[i];
        if (!f->values[i]) continue;
        t[count++] = (StTensor){.name = p->name, .type = ST_F32, .rank = p->rank, .dims = {p->shape[0], p->shape[1]}};
        t[count - 1].data = (const unsigned char *)f->values[i];
    }
    st_write_noted(path, t, count, NOTE, text.data);
    buf_free(&text), mem_free(t);
}

static void copy_hex(char to[65], const JsonDoc *doc, const char *key) {
    const char *text = json_string(doc, json_root(doc), key, "");
    memset(to, 0, 65);
    if (strlen(text) == 64) memcpy(to, text, 64);
}

static void read_note(Fisher *f, const SafeTensors *s, const char *path) {
    const char *text = st_note(s, NOTE);
    if (!text) bad_input("%s: no file of Fisher information: write one with finetune check fisher", path);
    JsonDoc *doc = json_parse(text, strlen(text), path, 1);
    const Json *root = json_root(doc);
    f->empirical = str_starts(json_string(doc, root, "variant", ""), "empirical");
    f->sequences = (size_t)json_int(doc, root, "sequences", 1, INT64_MAX, 1), f->seed = (uint32_t)json_int(doc, root, "seed", 0, UINT32_MAX, 0);
    f->earlier = json_double(doc, root, "earlier", 0);
    copy_hex(f->base, doc, "base_tensors"), copy_hex(f->adapter, doc, "adapter"), copy_hex(f->data, doc, "data");
    json_free(doc);
}

/* Whether training this model needs the Fisher of that Param. */
static bool needed(const Model *m, const Param *p) {
    if (p->adapter) return false;
    if (!p->frozen || p == m->tok_rows.of || p == m->head_rows.of) return true;
    for (size_t i = 0; m->adapter && i < m->adapter->count; i++)
        if (m->adapter->linears[i]->w == p) return true;
    return false;
}

Fisher *fisher_read(const char *path, const Model *m) {
    Fisher *f = empty(m);
    SafeTensors *s = st_open(path);
    read_note(f, s, path);
    for (size_t i = 0; i < f->params; i++) {
        const Param *p = m->params[i];
        if (!needed(m, p)) continue;
        const StTensor *t = st_find(s, p->name);
        if (!t) bad_input("%s: no tensor %s, though it is trained: take the Fisher information of this model, without --freeze", path, p->name);
        bool same = t->type == ST_F32 && t->rank == p->rank;
        for (int d = 0; d < p->rank && same; d++) same = t->dims[d] == p->shape[d];
        if (!same)
            bad_input("%s: tensor %s has another type or shape than the model's [%zu, %zu]: it is of another model", path, p->name, p->shape[0],
                      p->shape[1]);
        f->values[i] = mem_new(param_size(p), sizeof(real));
        for (size_t j = 0; j < param_size(p); j++) {
            float x;
            memcpy(&x, t->data + 4 * j, 4);
            if (!(x >= 0) || !is_finite((double)x)) bad_input("%s: tensor %s: element %zu is negative or not finite: the file is damaged", path, p->name, j);
            f->values[i][j] = (real)x;
        }
    }
    st_close(s);
    return f;
}

void fisher_add_earlier(Fisher *f, const Model *m, const char *path, double decay) {
    Fisher *old = fisher_read(path, m);
    for (size_t i = 0; i < f->params; i++)
        for (size_t j = 0; f->values[i] && j < param_size(m->params[i]); j++) f->values[i][j] = real_fma((real)decay, old->values[i][j], f->values[i][j]);
    f->earlier = decay;
    fisher_free(old);
}
