#include "forget.h"

#include "lora.h"
#include "parallel.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static double not_a_number(void) { return bits_double(0x7ff8000000000000); }

/* ---- a sequence of tasks ---- */

/* max_{l<T} R[l][j] - R[T][j] */
static double forgetting_of(const double *R, size_t T, size_t j) {
    double best = R[j];
    for (size_t l = 1; l + 1 < T; l++)
        if (R[l * T + j] > best) best = R[l * T + j];
    return best - R[(T - 1) * T + j];
}

SequenceScores sequence_scores(const double *R, const double *before, const double *joint, size_t T) {
    SequenceScores s = {0};
    const double *last = R + (T - 1) * T;
    for (size_t j = 0; j < T; j++) {
        s.acc += last[j], s.learning += R[j * T + j];
        if (joint) s.intransigence += joint[j] - R[j * T + j];
        if (before && j) s.fwt += R[(j - 1) * T + j] - before[j];
        if (j + 1 < T) s.bwt += last[j] - R[j * T + j], s.forgetting += forgetting_of(R, T, j);
    }
    double others = T > 1 ? (double)(T - 1) : not_a_number();
    s.acc /= (double)T, s.learning /= (double)T;
    s.bwt /= others, s.forgetting /= others;
    s.fwt = before ? s.fwt / others : not_a_number();
    s.intransigence = joint ? s.intransigence / (double)T : not_a_number();
    return s;
}

double kept_above_chance(double before, double after, double chance) {
    return before > chance ? (after - chance) / (before - chance) : not_a_number();
}

/* ---- drift of the answers ---- */

typedef struct {
    double most, log_sum;             /* of exp(logit - most) */
} Softmax;

static Softmax softmax_of(const real *logits, size_t V) {
    Softmax s = {.most = (double)logits[0]};
    double sum = 0;
    for (size_t v = 1; v < V; v++)
        if ((double)logits[v] > s.most) s.most = (double)logits[v];
    for (size_t v = 0; v < V; v++) sum += d_exp((double)logits[v] - s.most);
    s.log_sum = d_log(sum);
    return s;
}

double kl_logits(const real *base, const real *tuned, size_t V) {
    Softmax q = softmax_of(base, V), p = softmax_of(tuned, V);
    double kl = 0;
    for (size_t v = 0; v < V; v++) {
        double log_q = (double)base[v] - q.most - q.log_sum, log_p = (double)tuned[v] - p.most - p.log_sum;
        kl += d_exp(log_q) * (log_q - log_p);
    }
    return kl > 0 ? kl : 0; /* rounding may leave less than nothing */
}

enum { KL_LOGITS = 1 << 20 };         /* of each model at a time, about */

void add_kl(Model *base, Pass *base_pass, Model *tuned, Pass *tuned_pass, const Batch *b, bool toggle, double *sum, size_t *tokens) {
    size_t V = base->config.vocab, block = KL_LOGITS / V ? KL_LOGITS / V : 1;
    real *q = mem_new(size_mul(block, V, "logits"), sizeof *q), *p = mem_new(block * V, sizeof *p);
    double *kl = mem_new(block, sizeof *kl);
    assert(V == tuned->config.vocab && toggle == (base == tuned));
    if (toggle) adapter_enable(base, false);
    model_forward(base, base_pass, b);
    if (toggle) adapter_enable(base, true);
    model_forward(tuned, tuned_pass, b);
    for (size_t row = 0; row < b->tokens; row += block) {
        size_t n = b->tokens - row < block ? b->tokens - row : block;
        if (toggle) adapter_enable(base, false); /* rows of the head may be the adapter's */
        model_logits(base, base_pass, row, n, q);
        if (toggle) adapter_enable(base, true);
        model_logits(tuned, tuned_pass, row, n, p);
        PARALLEL_FOR(n * V > WORTH_THREADS)
        for (size_t i = 0; i < n; i++) kl[i] = kl_logits(q + i * V, p + i * V, V);
        for (size_t i = 0; i < n; i++)
            if (b->targets[row + i] >= 0 && b->weights[row + i] > 0) *sum += kl[i], ++*tokens;
    }
    mem_free(q), mem_free(p), mem_free(kl);
}

/* ---- distance of the weights ---- */

/* The block that a tensor belongs to, by the number in its name ("model.layers.3.mlp…", "h.3.mlp…"); -1: none. */
static int layer_of(const char *name) {
    for (const char *at = name; (at = strchr(at, '.')); ) {
        int layer = 0;
        at++;
        if (*at < '0' || *at > '9') continue;
        while (*at >= '0' && *at <= '9') layer = 10 * layer + (*at++ - '0');
        if (*at == '.') return layer;
    }
    return -1;
}

static PartDistance *part_of(const Model *m, const Param *p, PartDistance *parts, size_t *count) {
    char name[32];
    int layer = layer_of(p->name);
    if (layer >= 0) snprintf(name, sizeof name, "layer %d", layer);
    else snprintf(name, sizeof name, "%s", p == m->tok || p == m->pos ? "embedding" : p == m->head.w || p == m->head.b ? "head" : "final norm");
    for (size_t i = 0; i < *count; i++)
        if (!strcmp(parts[i].name, name)) return &parts[i];
    PartDistance *part = &parts[(*count)++];
    *part = (PartDistance){.layer = layer};
    memcpy(part->name, name, sizeof name);
    return part;
}

/* ‖ΔW‖² of a Linear with an adapter: ΔW = s B A; with DoRA c (W + s B A) - W. */
static double adapter_square(const Linear *l, const Lora *a) {
    const real *A = param_real(a->a), *B = param_real(a->b);
    double sum = 0;
    for (size_t o = 0; o < l->out; o++) {
        double c = a->magnitude ? (double)param_real(a->magnitude)[o] / (double)a->norm[o] : 1;
        for (size_t i = 0; i < l->in; i++) {
            double change = 0;
            for (size_t r = 0; r < a->rank; r++) change += (double)B[o * a->rank + r] * (double)A[r * l->in + i];
            change *= (double)a->scale;
            if (a->magnitude) {
                double w = (double)stored_value(l->w->w, l->w->stored, l->w->conv1d ? i * l->out + o : o * l->in + i);
                change = c * (w + change) - w;
            }
            sum += change * change;
        }
    }
    return sum;
}

static double rows_square(const TrainedRows *t, const Param *p) {
    double sum = 0;
    if (!t->rows || t->of != p) return 0;
    for (size_t i = 0; i < param_size(t->rows); i++) {
        double change = (double)param_real(t->rows)[i] - (double)t->base[i];
        sum += change * change;
    }
    return sum;
}

static double adapter_change(const Model *m, const Param *p) {
    double sum = rows_square(&m->tok_rows, p) + rows_square(&m->head_rows, p);
    for (size_t i = 0; i < m->adapter->count; i++)
        if (m->adapter->linears[i]->w == p) sum += adapter_square(m->adapter->linears[i], &m->adapter->loras[i]);
    return sum;
}

static double params_change(const Param *p, const Param *q) {
    double sum = 0;
    for (size_t i = 0; i < param_size(p); i++) {
        double change = (double)stored_value(q->w, q->stored, i) - (double)stored_value(p->w, p->stored, i);
        sum += change * change;
    }
    return sum;
}

static double param_square(const Param *p) {
    double sum = 0;
    for (size_t i = 0; i < param_size(p); i++) sum += (double)stored_value(p->w, p->stored, i) * (double)stored_value(p->w, p->stored, i);
    return sum;
}

PartDistance *weight_distances(Model *base, Model *tuned, bool toggle, const char *base_path, const char *tuned_path, size_t *count) {
    PartDistance *parts = mem_new(base->count + 1, sizeof *parts);
    assert(toggle == (base == tuned));
    *count = 0;
    if (toggle) adapter_enable(base, false);
    for (size_t i = 0; i < base->count; i++) {
        const Param *p = base->params[i], *q = model_find(tuned, p->name);
        if (p->adapter) continue;
        if (!q || p->rank != q->rank || memcmp(p->shape, q->shape, sizeof p->shape))
            bad_input("%s and %s are not one architecture: %s stands in the first, not like that in the second; a tuned model has the base's tensors",
                      base_path, tuned_path, p->name);
        PartDistance *part = part_of(base, p, parts, count);
        part->distance += toggle ? adapter_change(base, p) : params_change(p, q);
        part->norm += param_square(p);
    }
    if (toggle) adapter_enable(base, true);
    for (size_t i = 0; i < *count; i++) parts[i].distance = d_sqrt(parts[i].distance), parts[i].norm = d_sqrt(parts[i].norm);
    return parts;
}
