#include "plan.h"

#include "lora.h"
#include "optim.h"
#include "os.h"
#include "parallel.h"
#include "pass.h"
#include "weights.h"

#include <stdio.h>
#include <string.h>

/* ---- memory -----------------------------------------------------------------------------------------------------------------
 *     weights      f32, or 16 bits as the file has them where they are frozen        4 or 2 bytes each
 *     gradients    of what is trained; of vectors also the chain in double           4, 12
 *     moments      AdamW's two                                                       8
 *     activations  what pass.c carves for the tokens of the largest micro-batch
 *     other        what stands in memory when the plan is made and is none of these, and the little that comes later */

static size_t weight_bytes(const Param *p) { return param_size(p) * (p->stored == STORED_REAL ? sizeof(real) : sizeof(uint16_t)); }

static size_t gradient_bytes(const Param *p) { return param_size(p) * (sizeof(real) + (p->rank == 1 ? sizeof(double) : 0)); }

static void add_model(Memory *all, size_t *there, const Model *m) {
    for (size_t i = 0; i < m->count; i++) {
        const Param *p = m->params[i];
        all->weights += weight_bytes(p);
        if (p->w) *there += weight_bytes(p);
        if (p->frozen) continue;
        all->gradients += gradient_bytes(p), all->moments += 2 * param_size(p) * sizeof(real);
        if (p->g) *there += gradient_bytes(p);
        if (p->m) *there += 2 * param_size(p) * sizeof(real);
    }
}

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

/* What training_run makes beside gradients, moments and its Pass, and what the process itself takes: libraries, stacks, a file's buffer, the blocks
 * into which each thread packs. */
static size_t comes_later(const Training *t) {
    enum { PROCESS = 3000000, THREAD = 400000 };
    const Model *m = t->model;
    const Remedies *r = &t->remedies;
    size_t tokens = training_tokens(t), step = t->batch * training_longest(t);
    size_t bytes = PROCESS + (size_t)thread_count() * THREAD + t->measuring + t->beside;
    size_t rows = m->tok->frozen ? m->tok_rows.count : least(m->config.vocab, step);
    bytes += least(rows, step) * m->config.dim * sizeof(real); /* the embedding's gradient: rows of the step's ids */
    if (r->teacher) bytes += pass_bytes(r->teacher, tokens, false, false) + teacher_bytes(m, tokens);
    return bytes;
}

static Memory parts(const Training *t, size_t *there) {
    Memory all = {.activations = pass_bytes(t->model, training_tokens(t), true, t->recompute)};
    *there = 0;
    add_model(&all, there, t->model);
    if (t->remedies.teacher && t->remedies.teacher != t->model) {
        const Model *teacher = t->remedies.teacher;
        for (size_t i = 0; i < teacher->count; i++) {
            all.weights += weight_bytes(teacher->params[i]);
            if (teacher->params[i]->w) *there += weight_bytes(teacher->params[i]);
        }
    }
    return all;
}

static void sum_up(Memory *m) { m->peak = m->weights + m->gradients + m->moments + m->activations + m->other; }

Memory plan_memory(const Training *t) {
    size_t there;
    Memory m = parts(t, &there);
    m.other = mem_in_use() - there + comes_later(t);
    sum_up(&m);
    if (mem_peak() > m.peak) m.other += mem_peak() - m.peak, sum_up(&m); /* what was needed to read all that was more */
    return m;
}

/* ---- what to change ---- */

/* The run with a change, of whose `other` only what comes later changes. */
static Memory changed(const Training *t, const Training *with, const Memory *now) {
    size_t there;
    Training c = *with;
    c.tokens = training_most_tokens(&c);
    Memory m = parts(&c, &there);
    m.other = now->other - comes_later(t) + comes_later(&c);
    sum_up(&m);
    return m;
}

/* The model as `train --lora` without other flags has it. */
static Model *outline_with_lora(const char *model_path) {
    Model *m = model_outline(model_path, true);
    LoraOptions o = {.rank = 16, .alpha = 32};
    lora_targets(&o, "all-linear");
    lora_attach(m, &o);
    lora_free_options(&o);
    return m;
}

size_t plan_changes(const Training *t, const char *model_path, const Memory *now, Change list[PLAN_CHANGES]) {
    static const char *const names[PLAN_CHANGES] = {"--micro-batch 1", "--recompute", "--micro-batch 1 --recompute", "--lora",
                                                    "--lora --micro-batch 1 --recompute"};
    Model *adapted = model_path && !t->model->adapter ? outline_with_lora(model_path) : NULL;
    size_t count = 0;
    for (int i = 0; i < PLAN_CHANGES; i++) {
        bool lora = i >= 3, one = i == 0 || i == 2 || i == 4, again = i == 1 || i == 2 || i == 4;
        Training with = *t;
        if ((lora && !adapted) || (i == 2 && (t->micro_batch == 1 || t->recompute))) continue;
        if (lora) with.model = adapted;
        if (one) with.micro_batch = 1;
        if (again) with.recompute = true;
        Memory m = changed(t, &with, now);
        if (m.peak < now->peak) list[count++] = (Change){names[i], m};
    }
    model_free(adapted);
    return count;
}

/* ---- time -------------------------------------------------------------------------------------------------------------------
 * A step of B samples of T tokens takes B T (layers · a + learned · h) + trained · u seconds: a, one token's way through a layer and back, measured on
 * two layers with next to no vocabulary; h, through the head and back, on one layer with the whole of it; u, AdamW on one number. */

/* The Param of t's model that stands in the sketch's place i: its last layers are the sketch's. */
static const Param *original(const Model *m, const Model *sketch, size_t i) {
    size_t own = 0, head = m->pos ? 2 : 1, tail = 1 + (m->norm_f.b != NULL) + !m->config.tied, L = m->config.layers;
    while (own < m->count && !m->params[own]->adapter) own++;
    size_t block = (own - head - tail) / L, blocks = block * sketch->config.layers;
    if (i < head) return m->params[i];
    if (i >= head + blocks) return m->params[own - tail + (i - head - blocks)];
    return m->params[head + block * (L - sketch->config.layers) + (i - head)];
}

/* Small numbers of both signs, none of them zero: their values do not matter, but zeros would be quicker. */
static void fill(Param *p, Stored stored) {
    size_t n = param_size(p);
    p->stored = p->rank == 2 ? stored : STORED_REAL;
    p->w = mem_new(n, p->stored == STORED_REAL ? sizeof(real) : sizeof(uint16_t));
    for (size_t i = 0; i < n; i++) {
        float x = p->init_one ? 1 : ((float)((uint32_t)i * 2654435761u >> 24) - 127.5f) * 0x1p-12f;
        if (p->stored == STORED_REAL) ((real *)p->w)[i] = (real)x;
        else ((uint16_t *)p->w)[i] = p->stored == STORED_F16 ? f16_round(x) : bf16_round(x);
    }
}

/* The kinds of Linears that have an adapter: "q_proj,v_proj". */
static LoraOptions lora_of(const Model *m) {
    const Adapter *a = m->adapter;
    LoraOptions o = {.alpha = 1, .dropout = a->options.dropout, .dora = a->options.dora};
    Buf names = {0};
    for (size_t i = 0; i < a->count; i++) {
        char *module = module_name(m, a->linears[i]->w), *kind = str_copy(strrchr(module, '.') + 1);
        if (!names.len || !strstr(names.data, kind)) {
            if (names.len) buf_char(&names, ',');
            buf_str(&names, kind);
        }
        if (a->loras[i].rank > o.rank) o.rank = a->loras[i].rank;
        mem_free(module), mem_free(kind);
    }
    lora_targets(&o, names.data);
    buf_free(&names);
    return o;
}

/* A model of the same shapes, of fewer layers. */
static Model *sketch_of(const Model *m, size_t layers, size_t vocab, size_t ctx, bool moments) {
    Config c = m->config;
    c.layers = layers, c.vocab = vocab, c.ctx = ctx;
    Model *s = model_new(&c, "plan");
    for (size_t i = 0; i < s->count; i++) {
        const Param *p = original(m, s, i);
        fill(s->params[i], p->stored);
        if (p->frozen) param_freeze(s->params[i]);
    }
    if (m->adapter && m->adapter->count) {
        LoraOptions o = lora_of(m);
        lora_attach(s, &o);
        lora_free_options(&o);
    }
    model_alloc_training(s, moments);
    return s;
}

typedef struct {
    double pass, update;              /* seconds */
} Timing;

/* The quicker of two, after one that touches the memory. */
static Timing time_sketch(Model *m, size_t tokens, size_t segment, size_t supervised, bool recompute) {
    Pass *p = pass_new(m, tokens, true, recompute);
    Batch b = {0};
    Timing best = {0};
    int32_t *ids = mem_new(segment, sizeof *ids);
    OptimOptions o = {.lr = 1e-9, .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-8, .clip = 1};
    for (size_t i = 0; i < segment; i++) ids[i] = (int32_t)(i * 7919 % m->config.vocab);
    for (size_t at = 0; at < tokens; at += segment) batch_add(&b, ids, ids, NULL, least(segment, tokens - at));
    for (size_t i = supervised; i < tokens; i++) b.targets[i] = -1;
    for (int run = 0; run < 3; run++) {
        double sum = 0, t0 = os_seconds();
        model_begin_gradients(m, p, b.ids, b.tokens);
        model_step(m, p, &b, 1e-3, true, &sum);
        model_finish_gradients(m, p);
        double t1 = os_seconds(), norm = optim_grad_norm(m);
        optim_update(m, &o, (size_t)run, norm);
        Timing t = {t1 - t0, os_seconds() - t1};
        if (run == 1 || t.pass < best.pass) best.pass = t.pass;
        if (run == 1 || t.update < best.update) best.update = t.update;
    }
    mem_free(ids), batch_free(&b), pass_free(p);
    return best;
}

/* Fused multiply-adds of one token's forward way through a layer, T tokens in its segment. */
static double layer_work(const Model *m, double T) {
    Linear *list[BLOCK_LINEARS];
    size_t count = block_linears(&m->blocks[0], list);
    double work = T * (double)(m->config.heads * m->config.head_dim);
    for (size_t i = 0; i < count; i++) work += (double)(list[i]->in * list[i]->out);
    return work;
}

double plan_step_seconds(const Training *t, double budget) {
    enum { FEW = 32, NO_VOCAB = 64 };
    const Model *m = t->model;
    double mean = t->mean > 0 ? t->mean : (double)training_longest(t), learned = t->mean > 0 ? t->learned : 1;
    size_t most = training_tokens(t), tokens = least(FEW, most), longest = least((size_t)(mean + 0.5), m->config.ctx), segment;
    size_t vocab = least(NO_VOCAB, m->config.vocab), layers = least(2, m->config.layers);
    Timing layer;
    if (!longest) longest = 1;
    for (;;) { /* as many tokens as the budget allows, up to those of a micro-batch */
        segment = least(longest, tokens);
        Model *s = sketch_of(m, layers, vocab, segment, true);
        layer = time_sketch(s, tokens, segment, 1, t->recompute);
        layer.update /= (double)model_trainable(s);
        model_free(s);
        double more = budget / (layer.pass + 1e-6);
        if (tokens == most || more < 2) break;
        tokens = least(most, (size_t)((double)tokens * (more < 16 ? more : 16)));
    }
    double a = layer.pass / (double)(layers * tokens) * layer_work(m, mean) / layer_work(m, (double)segment);
    size_t rows = least(2 * head_rows(m->config.vocab), most);
    segment = least(longest, rows);
    Model *s = sketch_of(m, 1, m->config.vocab, segment, false);
    double whole = time_sketch(s, rows, segment, rows, t->recompute).pass / (double)rows, h = whole > a ? whole - a : 0;
    model_free(s);
    return (double)t->batch * mean * ((double)m->config.layers * a + learned * h) + (double)model_trainable(m) * layer.update;
}

/* ---- saying it ---- */

static double mb(size_t bytes) { return (double)bytes / 1e6; }

static void put_time(Buf *b, double seconds) {
    if (seconds < 100) buf_format(b, "%u s", (unsigned)(seconds + 0.5));
    else if (seconds < 6000) buf_format(b, "%u min", (unsigned)(seconds / 60 + 0.5));
    else buf_format(b, "%u h %u min", (unsigned)(seconds / 3600), (unsigned)(seconds / 60) % 60);
}

void plan_print(const Training *t, const Memory *m, double seconds) {
    fprintf(stderr, "%s: %.0f MB of memory at the peak: weights %.0f, gradients %.0f, moments %.0f, activations of %zu tokens %.0f, the rest %.0f\n", t->stage,
            mb(m->peak), mb(m->weights), mb(m->gradients), mb(m->moments), training_tokens(t), mb(m->activations), mb(m->other));
    if (!(seconds > 0)) return;
    Buf all = {0};
    put_time(&all, seconds * (double)t->optim.steps);
    fprintf(stderr, "%s: %zu steps of about %.3g s: %s\n", t->stage, t->optim.steps, seconds, all.data);
    buf_free(&all);
}

/* "with --recompute 300 MB; …", those that fit. */
static bool put_changes(Buf *b, const Training *t, const char *model_path, const Memory *m, uint64_t memory) {
    Change list[PLAN_CHANGES];
    size_t count = plan_changes(t, model_path, m, list);
    bool fits = false;
    for (size_t i = 0; i < count; i++) {
        bool enough = list[i].memory.peak <= memory;
        buf_format(b, "%s%s %zu MB%s", i ? "; " : "", list[i].flags, (list[i].memory.peak + 500000) / 1000000, enough ? " (fits)" : "");
        fits |= enough;
    }
    return fits;
}

void plan_refuse(const Training *t, const char *model_path, const Memory *m, uint64_t memory) {
    if (!memory || m->peak <= memory) return;
    Buf text = {0};
    buf_str(&text, "");
    bool fits = put_changes(&text, t, model_path, m, memory);
    bad_input("%s: this run takes %.0f MB of memory (weights %.0f, gradients %.0f, moments %.0f, activations %.0f, the rest %.0f), and this machine "
              "has %.0f MB%s%s%s",
              t->stage, mb(m->peak), mb(m->weights), mb(m->gradients), mb(m->moments), mb(m->activations), mb(m->other), (double)memory / 1e6,
              text.len ? "; it would take with " : "", text.data,
              fits ? "" : ": take a smaller model, shorter rows (--ctx), or a machine with more memory");
}

void plan_refuse_weights(const char *stage, const char *model_path, bool keep_16bit) {
    uint64_t memory = os_memory();
    size_t bytes = 0;
    Model *m = model_outline(model_path, keep_16bit);
    for (size_t i = 0; i < m->count; i++) bytes += weight_bytes(m->params[i]);
    model_free(m);
    if (memory && bytes > memory)
        bad_input("%s: the weights of %s alone take %.0f MB of memory, and this machine has %.0f MB: take a smaller model, or a machine with more", stage,
                  model_path, mb(bytes), (double)memory / 1e6);
}

typedef struct {
    const char *name;
    double value;
} Figure;

static void report_json(const Figure *f, size_t count, bool fits, const Change *changes, size_t change_count, uint64_t memory) {
    JsonWriter w = {0};
    jw_object(&w, NULL);
    jw_int(&w, "v", 1);
    for (size_t i = 0; i < count; i++) {
        if (f[i].value == (double)(uint64_t)f[i].value) jw_uint(&w, f[i].name, (uint64_t)f[i].value);
        else jw_float(&w, f[i].name, (float)f[i].value);
    }
    jw_bool(&w, "fits", fits);
    jw_array(&w, "changes");
    for (size_t i = 0; i < change_count; i++) {
        jw_object(&w, NULL);
        jw_string(&w, "flags", changes[i].flags), jw_uint(&w, "peak", changes[i].memory.peak);
        jw_bool(&w, "fits", !memory || changes[i].memory.peak <= memory);
        jw_end_object(&w);
    }
    jw_end_array(&w), jw_end_object(&w);
    buf_char(&w.text, '\n');
    out_bytes(w.text.data, w.text.len);
    buf_free(&w.text);
}

void plan_report(const Training *t, const char *model_path, const Memory *m, uint64_t memory, double seconds, bool json) {
    const Figure f[] = {{"weights", (double)m->weights}, {"gradients", (double)m->gradients}, {"moments", (double)m->moments},
                        {"activations", (double)m->activations}, {"other", (double)m->other}, {"peak", (double)m->peak}, {"memory", (double)memory},
                        {"seconds_per_step", seconds}, {"steps", (double)t->optim.steps}, {"total_seconds", seconds * (double)t->optim.steps}};
    enum { FIGURES = sizeof f / sizeof *f };
    bool fits = !memory || m->peak <= memory;
    Change changes[PLAN_CHANGES];
    size_t count = fits ? 0 : plan_changes(t, model_path, m, changes);
    if (json) {
        report_json(f, FIGURES, fits, changes, count, memory);
        return;
    }
    for (size_t i = 0; i < FIGURES; i++) {
        ResultLine r = result_begin(false);
        if (f[i].value == (double)(size_t)f[i].value) result_count(&r, f[i].name, (size_t)f[i].value);
        else result_number(&r, f[i].name, f[i].value);
        result_print(&r);
    }
    ResultLine r = result_begin(false);
    result_text(&r, "fits", fits ? "true" : "false");
    result_print(&r);
    for (size_t i = 0; i < count; i++) {
        r = result_begin(false);
        result_text(&r, "change", changes[i].flags), result_count(&r, "peak", changes[i].memory.peak);
        result_text(&r, "fits", changes[i].memory.peak <= memory ? "true" : "false");
        result_print(&r);
    }
}
