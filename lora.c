#include "lora.h"

#include "ops.h"
#include "parallel.h"
#include "pattern.h"
#include "simd.h"

#include <string.h>

/* ---- names ---- */

char *module_name(const Model *m, const Param *w) {
    const char *prefix = !m->config.bare_names ? "" : m->config.family == FAMILY_GPT2 ? "transformer." : "model.";
    return str_format("%s%.*s", prefix, (int)(strlen(w->name) - strlen(".weight")), w->name);
}

/* Every name of a Linear's last part, in file order: "q_proj", … */
static char *last_part(const Model *m, const Linear *l) {
    char *name = module_name(m, l->w), *last = str_copy(strrchr(name, '.') + 1);
    mem_free(name);
    return last;
}

void lora_targets(LoraOptions *o, const char *text) {
    o->targets = NULL, o->target_count = 0;
    o->targets_regex = regex_is_one(text);
    for (const char *at = text, *end; at; at = *end ? end + 1 : NULL) {
        end = o->targets_regex ? at + strlen(at) : at + strcspn(at, ",");
        o->targets = mem_resize(o->targets, o->target_count + 1, sizeof *o->targets);
        o->targets[o->target_count++] = str_copy_n(at, (size_t)(end - at));
    }
}

static bool all_linear(const LoraOptions *o) { return o->target_count == 1 && !strcmp(o->targets[0], "all-linear"); }

void lora_name_all(Model *m, LoraOptions *o) {
    Linear *list[BLOCK_LINEARS];
    size_t count = block_linears(&m->blocks[0], list);
    for (size_t i = 0; i < o->target_count; i++) mem_free(o->targets[i]);
    mem_free(o->targets);
    o->targets = mem_new(count, sizeof *o->targets), o->target_count = 0;
    for (size_t i = 0; i < count; i++) {
        char *name = last_part(m, list[i]);
        bool known = false;
        for (size_t j = 0; j < o->target_count; j++) known |= !strcmp(o->targets[j], name);
        if (!known) o->targets[o->target_count++] = name;
        else mem_free(name);
    }
}

static void add_pattern(LoraPattern **patterns, size_t *count, const char *module, double value) {
    *patterns = mem_resize(*patterns, *count + 1, sizeof **patterns);
    (*patterns)[(*count)++] = (LoraPattern){str_copy(module), value};
}

void lora_add_module(LoraOptions *o, char *module, size_t rank, double alpha) {
    o->targets = mem_resize(o->targets, o->target_count + 1, sizeof *o->targets);
    o->targets[o->target_count++] = module;
    if (o->target_count == 1) o->rank = rank, o->alpha = alpha;
    if (rank != o->rank) add_pattern(&o->ranks, &o->rank_count, module, (double)rank);
    if (alpha < o->alpha || alpha > o->alpha) add_pattern(&o->alphas, &o->alpha_count, module, alpha);
}

bool lora_selects(const LoraOptions *o, const char *module, size_t *which) {
    for (size_t i = 0; i < o->target_count; i++) {
        *which = i;
        if (o->targets_regex ? regex_matches(o->targets[i], module, "targets") : name_ends(module, o->targets[i])) return true;
    }
    return false;
}

/* The first pattern that fits the end of the name. */
static double pattern_value(const LoraPattern *patterns, size_t count, const char *module, double fallback, const char *where) {
    for (size_t i = 0; i < count; i++) {
        char *whole = str_format("(.*\\.)?(%s)", patterns[i].key);
        bool fits = regex_matches(whole, module, where);
        mem_free(whole);
        if (fits) return patterns[i].value;
    }
    return fallback;
}

/* ---- attaching ---- */

static uint64_t name_hash(const char *name) {
    unsigned char digest[32];
    Sha256 sha;
    uint64_t hash = 0;
    sha256_begin(&sha), sha256_add(&sha, name, strlen(name)), sha256_end(&sha, digest);
    for (int i = 0; i < 8; i++) hash = hash << 8 | digest[i];
    return hash;
}

static Param *adapter_param(Model *m, char *name, int rank, size_t rows, size_t columns) {
    Param *p = model_add_param(m, name, rank, rows, columns);
    p->adapter = true;
    p->w = mem_new(param_size(p), sizeof(real));
    return p;
}

/* Uniform in ±1/sqrt(in), by the tensor's name and the element's index. */
static void init_a(Param *a, uint32_t seed, size_t in) {
    uint32_t purpose = (uint32_t)(name_hash(a->name) >> 32);
    double bound = 1 / d_sqrt((double)in);
    for (size_t i = 0; i < param_size(a); i++) {
        double u = (double)rng_uniform(seed, purpose, i, 0);
        ((real *)a->w)[i] = (real)(float)((2 * u - 1) * bound);
    }
}

static void attach_one(Model *m, Linear *l, const char *module, Lora *lora) {
    const LoraOptions *o = &m->adapter->options;
    double rank = pattern_value(o->ranks, o->rank_count, module, (double)o->rank, "rank_pattern");
    double alpha = pattern_value(o->alphas, o->alpha_count, module, o->alpha, "alpha_pattern");
    size_t r = (size_t)rank;
    if (!(rank >= 1) || rank != (double)r || r > 65536) bad_input("the rank of %s must be a whole number from 1 to 65536", module);
    if (!(alpha > 0) || !is_finite(alpha)) bad_input("the alpha of %s must be above 0", module);
    lora->rank = r;
    lora->scale = (real)(o->rslora ? alpha / d_sqrt(rank) : alpha / rank);
    lora->a = adapter_param(m, str_format("base_model.model.%s.lora_A.weight", module), 2, r, l->in);
    lora->b = adapter_param(m, str_format("base_model.model.%s.lora_B.weight", module), 2, l->out, r);
    lora->name = name_hash(module);
    init_a(lora->a, o->seed, l->in);
    l->lora = lora;
    if (!o->dora) return;
    lora->magnitude = adapter_param(m, str_format("base_model.model.%s.lora_magnitude_vector", module), 1, l->out, 1);
    lora->norm = mem_new(l->out, sizeof *lora->norm);
}

/* The Linears that the options select; every target must select one. */
static void select_linears(Model *m) {
    Adapter *a = m->adapter;
    const LoraOptions *o = &a->options;
    Linear *list[BLOCK_LINEARS];
    bool *used = mem_new(o->target_count, sizeof *used);
    a->linears = mem_new(m->config.layers * BLOCK_LINEARS, sizeof *a->linears);
    for (size_t layer = 0; layer < m->config.layers; layer++) {
        size_t count = block_linears(&m->blocks[layer], list), which;
        for (size_t i = 0; i < count; i++) {
            char *module = module_name(m, list[i]->w);
            if (lora_selects(o, module, &which)) a->linears[a->count++] = list[i];
            for (size_t j = 0; j < o->target_count && !o->targets_regex; j++) used[j] |= name_ends(module, o->targets[j]);
            mem_free(module);
        }
    }
    for (size_t j = 0; j < o->target_count; j++) {
        if (used[j] || (o->targets_regex && a->count)) continue;
        bool head = name_ends("lm_head", o->targets[j]), gpt2 = m->config.family == FAMILY_GPT2;
        bad_input("targets: \"%s\" names no Linear of this model%s: its Linears are %s, or all-linear", o->targets[j],
                  head ? " that can have an adapter" : "",
                  gpt2 ? "c_attn, c_proj, c_fc" : "q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj");
    }
    mem_free(used);
}

/* ---- trained rows of the embedding and of the head ---- */

static int by_id(const void *a, const void *b, const void *context) {
    (void)context;
    return (*(const int32_t *)a > *(const int32_t *)b) - (*(const int32_t *)a < *(const int32_t *)b);
}

/* The matrix must be in `real`, so that rows of it can be replaced exactly. */
static void widen(Param *p) {
    if (!p->w) p->stored = STORED_REAL; /* an outline */
    if (p->stored == STORED_REAL) return;
    real *w = mem_new(param_size(p), sizeof *w);
    for (size_t i = 0; i < param_size(p); i++) w[i] = stored_value(p->w, p->stored, i);
    mem_free(p->w);
    p->w = w, p->stored = STORED_REAL;
}

static void train_rows(Model *m, TrainedRows *t, Param *of, const int32_t *ids, size_t count) {
    size_t C = m->config.dim;
    widen(of);
    *t = (TrainedRows){.of = of, .ids = mem_new(count, sizeof *t->ids), .base = mem_new(count * C, sizeof(real))};
    memcpy(t->ids, ids, count * sizeof *ids);
    sort_stable(t->ids, count, sizeof *ids, by_id, NULL);
    for (size_t i = 0; i < count; i++) {
        if (t->ids[i] < 0 || (size_t)t->ids[i] >= m->config.vocab)
            bad_input("the token %d whose row is to be trained is not among the model's %zu", (int)t->ids[i], m->config.vocab);
        if (!t->count || t->ids[t->count - 1] != t->ids[i]) t->ids[t->count++] = t->ids[i];
    }
    char *module = module_name(m, of);
    t->rows = adapter_param(m, str_format("base_model.model.%s.token_adapter.trainable_tokens_delta", module), 2, t->count, C);
    for (size_t i = 0; of->w && i < t->count; i++) memcpy(t->base + i * C, (real *)of->w + (size_t)t->ids[i] * C, C * sizeof(real));
    memcpy(t->rows->w, t->base, t->count * C * sizeof(real));
    mem_free(module);
}

static void put_rows(const TrainedRows *t, const real *rows) {
    size_t C = t->of->shape[1];
    for (size_t i = 0; i < t->count; i++) memcpy((real *)t->of->w + (size_t)t->ids[i] * C, rows + i * C, C * sizeof *rows);
}

/* ---- W + scale·s·B A, some rows at a time ---- */

enum { ROWS = 64 };

static real weight_at(const Linear *l, size_t out, size_t in) {
    return stored_value(l->w->w, l->w->stored, l->w->conv1d ? in * l->out + out : out * l->in + in);
}

/* rows [n, in] = W + Δ of the outputs first, first+1, …; Δ is the chain over the rank of (scale·B) A. scratch [n, rank] */
static void effective_rows(real *rows, const Linear *l, size_t first, size_t n, real scale, real *scratch) {
    const Lora *a = l->lora;
    const real *b = param_real(a->b) + first * a->rank;
    for (size_t i = 0; i < n * a->rank; i++) scratch[i] = scale * b[i];
    matmul(rows, l->in, view_rows(scratch, a->rank), view_rows(param_real(a->a), l->in), n, l->in, a->rank, BEGIN);
    PARALLEL_FOR(n * l->in > WORTH_THREADS)
    for (size_t o = 0; o < n; o++)
        for (size_t i = 0; i < l->in; i++) rows[o * l->in + i] += weight_at(l, first + o, i);
}

static void refresh_norms(const Linear *l, const char *module) {
    const Lora *a = l->lora;
    real *rows = mem_new(size_mul(ROWS, l->in, "DoRA's norms"), sizeof *rows), *scratch = mem_new(ROWS * a->rank, sizeof *scratch);
    for (size_t first = 0; first < l->out; first += ROWS) {
        size_t n = l->out - first < ROWS ? l->out - first : ROWS;
        effective_rows(rows, l, first, n, a->scale, scratch);
        PARALLEL_FOR(n * l->in > WORTH_THREADS)
        for (size_t o = 0; o < n; o++) a->norm[first + o] = real_sqrt(row_dot(rows + o * l->in, rows + o * l->in, l->in));
        for (size_t o = 0; o < n; o++)
            if (!(a->norm[first + o] > 0))
                bad_input("%s: row %zu of its weight is all zero: DoRA divides by its norm; leave out --dora", module, first + o);
    }
    mem_free(rows), mem_free(scratch);
}

void adapter_refresh_rows(Model *m) {
    if (m->tok_rows.rows) put_rows(&m->tok_rows, param_real(m->tok_rows.rows));
    if (m->head_rows.rows) put_rows(&m->head_rows, param_real(m->head_rows.rows));
}

void adapter_refresh(Model *m) {
    Adapter *a = m->adapter;
    if (!a || !m->tok->w) return; /* of an outline nothing is derived */
    for (size_t i = 0; i < a->count; i++)
        if (a->loras[i].magnitude && a->linears[i]->lora) {
            char *module = module_name(m, a->linears[i]->w);
            refresh_norms(a->linears[i], module);
            mem_free(module);
        }
    adapter_refresh_rows(m);
}

void adapter_enable(Model *m, bool on) {
    Adapter *a = m->adapter;
    for (size_t i = 0; i < a->count; i++) a->linears[i]->lora = on ? &a->loras[i] : NULL;
    const TrainedRows *rows[] = {&m->tok_rows, &m->head_rows};
    for (int i = 0; i < 2; i++)
        if (rows[i]->rows) put_rows(rows[i], on ? param_real(rows[i]->rows) : rows[i]->base);
}

/* ---- attach, train, free ---- */

void lora_training(Model *m, double dropout, double plus) {
    Adapter *a = m->adapter;
    if (!(dropout >= 0) || dropout >= 1) bad_input("--lora-dropout must lie from 0 to below 1");
    if (!(plus >= 0) || !is_finite(plus)) bad_input("--lora-plus must be above 0, or 0 for none");
    a->options.dropout = dropout, a->options.plus = plus;
    for (size_t i = 0; i < a->count; i++) {
        double bits = dropout * 0x1p24;
        a->loras[i].drop_below = (uint32_t)bits + (bits > (double)(uint32_t)bits);
        a->loras[i].kept_scale = (real)(1 / (1 - dropout));
        a->loras[i].b->lr_ratio = plus;
    }
}

static int32_t *copy_ids(const int32_t *ids, size_t count) {
    int32_t *copy = mem_new(count, sizeof *copy);
    if (count) memcpy(copy, ids, count * sizeof *ids);
    return copy;
}

void lora_tokens(LoraOptions *o, const Model *m, const int32_t *ids, size_t count) {
    o->tokens = copy_ids(ids, count), o->token_count = count;
    o->head_token_count = m->config.tied ? 0 : count;
    o->head_tokens = copy_ids(ids, o->head_token_count);
}

static LoraOptions copy_options(const LoraOptions *o) {
    LoraOptions c = *o;
    c.targets = mem_new(o->target_count, sizeof *c.targets);
    for (size_t i = 0; i < o->target_count; i++) c.targets[i] = str_copy(o->targets[i]);
    c.ranks = mem_new(o->rank_count, sizeof *c.ranks), c.alphas = mem_new(o->alpha_count, sizeof *c.alphas);
    for (size_t i = 0; i < o->rank_count; i++) c.ranks[i] = (LoraPattern){str_copy(o->ranks[i].key), o->ranks[i].value};
    for (size_t i = 0; i < o->alpha_count; i++) c.alphas[i] = (LoraPattern){str_copy(o->alphas[i].key), o->alphas[i].value};
    c.tokens = copy_ids(o->tokens, o->token_count), c.head_tokens = copy_ids(o->head_tokens, o->head_token_count);
    return c;
}

/* At B = 0 the norms are W's own: m = n, so c = 1. */
static void init_magnitudes(Model *m) {
    Adapter *a = m->adapter;
    adapter_refresh(m);
    for (size_t i = 0; i < a->count && a->options.dora; i++)
        memcpy(a->loras[i].magnitude->w, a->loras[i].norm, a->linears[i]->out * sizeof(real));
}

void lora_attach(Model *m, const LoraOptions *options) {
    if (m->adapter) bad_input("the model has an adapter already: merge it first");
    Adapter *a = m->adapter = mem_new(1, sizeof *a);
    a->options = copy_options(options);
    LoraOptions *o = &a->options;
    if (all_linear(o)) lora_name_all(m, o);
    for (size_t i = 0; i < m->count; i++) param_freeze(m->params[i]);
    if (o->token_count) train_rows(m, &m->tok_rows, m->tok, o->tokens, o->token_count);
    if (o->head_token_count) train_rows(m, &m->head_rows, m->head.w, o->head_tokens, o->head_token_count);
    select_linears(m);
    a->loras = mem_new(a->count, sizeof *a->loras);
    for (size_t i = 0; i < a->count; i++) {
        char *module = module_name(m, a->linears[i]->w);
        attach_one(m, a->linears[i], module, &a->loras[i]);
        mem_free(module);
    }
    lora_training(m, o->dropout, o->plus);
    init_magnitudes(m);
}

static void free_rows(TrainedRows *t) {
    mem_free(t->ids), mem_free(t->base);
    *t = (TrainedRows){0};
}

void lora_free_options(LoraOptions *o) {
    for (size_t i = 0; i < o->target_count; i++) mem_free(o->targets[i]);
    for (size_t i = 0; i < o->rank_count; i++) mem_free(o->ranks[i].key);
    for (size_t i = 0; i < o->alpha_count; i++) mem_free(o->alphas[i].key);
    mem_free(o->targets), mem_free(o->ranks), mem_free(o->alphas), mem_free(o->tokens), mem_free(o->head_tokens);
}

void adapter_free(Model *m) {
    Adapter *a = m->adapter;
    if (!a) return;
    for (size_t i = 0; i < a->count; i++) {
        mem_free(a->loras[i].norm);
        a->linears[i]->lora = NULL;
    }
    lora_free_options(&a->options);
    free_rows(&m->tok_rows), free_rows(&m->head_rows);
    mem_free(a->base), mem_free(a->loras), mem_free(a->linears), mem_free(a);
    m->adapter = NULL;
    size_t kept = 0;
    for (size_t i = 0; i < m->count; i++)
        if (m->params[i]->adapter) param_free(m->params[i]);
        else m->params[kept++] = m->params[i];
    m->count = kept;
}

/* ---- merging ---- */

/* y = (1-p) x W' + p m/n (x W' + s x A'B') + b is DoRA again: with c = m/n it is c' (x W' + s x A'B'*) for c' = 1-p + p c and the rows of
 * B* = (p c / c') B. The norms stay what they are. */
static void scale_dora(const Linear *l, double part) {
    const Lora *a = l->lora;
    for (size_t o = 0; o < l->out; o++) {
        real *magnitude = (real *)a->magnitude->w + o, *b = (real *)a->b->w + o * a->rank;
        double n = (double)a->norm[o], c = (double)*magnitude / n, scaled = 1 - part + part * c;
        if (!(scaled > 1e-6) && !(scaled < -1e-6)) bad_input("at this scale DoRA's factor of %s, row %zu, vanishes: take another scale", l->w->name, o);
        *magnitude = (real)(scaled * n);
        for (size_t k = 0; k < a->rank; k++) b[k] = (real)((double)b[k] * (part * c / scaled));
    }
}

static void scale_rows(const TrainedRows *t, double part) {
    real *rows = t->rows ? t->rows->w : NULL;
    for (size_t i = 0; rows && i < param_size(t->rows); i++) rows[i] = (real)((double)t->base[i] + part * ((double)rows[i] - (double)t->base[i]));
}

void lora_scale(Model *m, double part) {
    Adapter *a = m->adapter;
    if (!(part < 1) && !(part > 1)) return;
    for (size_t i = 0; i < a->count; i++)
        if (a->loras[i].magnitude) scale_dora(a->linears[i], part);
        else a->loras[i].scale = (real)((double)a->loras[i].scale * part);
    scale_rows(&m->tok_rows, part), scale_rows(&m->head_rows, part);
    adapter_refresh_rows(m);
}

static void merge_one(Linear *l) {
    const Lora *a = l->lora;
    real *rows = mem_new(size_mul(ROWS, l->in, "merging"), sizeof *rows), *scratch = mem_new(ROWS * a->rank, sizeof *scratch);
    widen(l->w);
    real *w = l->w->w;
    for (size_t first = 0; first < l->out; first += ROWS) {
        size_t n = l->out - first < ROWS ? l->out - first : ROWS;
        effective_rows(rows, l, first, n, a->scale, scratch);
        for (size_t o = 0; o < n; o++) {
            real c = a->magnitude ? param_real(a->magnitude)[first + o] / a->norm[first + o] : 1;
            for (size_t i = 0; i < l->in; i++) w[l->w->conv1d ? i * l->out + first + o : (first + o) * l->in + i] = c * rows[o * l->in + i];
        }
    }
    mem_free(rows), mem_free(scratch);
}

void lora_merge(Model *m, double scale) {
    Adapter *a = m->adapter;
    adapter_enable(m, true);
    adapter_refresh(m);
    lora_scale(m, scale);
    for (size_t i = 0; i < a->count; i++) merge_one(a->linears[i]);
    adapter_free(m); /* trained rows stand in their matrices already */
    for (size_t i = 0; i < m->count; i++) m->params[i]->frozen = false;
}
