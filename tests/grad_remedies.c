/* What holds tuning near where it began, in double: the gradients of L2-SP, EWC and distillation against five-point central differences, the
 * penalties and the Fisher information against their definitions. */
#include "../fisher.h"
#include "../penalty.h"
#include "small_adapters.h"
#include "test.h"

#ifndef REAL_F64
#error "gradients are checked in double: build with -DREAL_F64"
#endif

enum { ELEMENTS = 12 };

typedef struct {
    const char *name;
    bool gpt2, tied, lora, going_on, rows, rslora;
    double l2_sp, ewc;
} Case;

static const Case cases[] = {
    {.name = "llama L2-SP", .l2_sp = 0.3},
    {.name = "llama EWC, tied", .tied = true, .ewc = 2},
    {.name = "gpt2 both", .gpt2 = true, .tied = true, .l2_sp = 0.1, .ewc = 3},
    {.name = "llama LoRA L2-SP", .lora = true, .l2_sp = 0.3},
    {.name = "llama LoRA EWC", .lora = true, .rslora = true, .ewc = 2},
    {.name = "gpt2 LoRA EWC", .gpt2 = true, .lora = true, .ewc = 2},
    {.name = "gpt2 LoRA both, going on, rows", .gpt2 = true, .lora = true, .going_on = true, .rows = true, .tied = true, .l2_sp = 0.2, .ewc = 1},
    {.name = "llama LoRA both, going on, rows", .lora = true, .going_on = true, .rows = true, .l2_sp = 0.2, .ewc = 1},
};

/* At the anchor. */
static Model *model_of(const Case *k) {
    Model *m = small_model(k->gpt2 ? small_gpt2(13, 12, 6, 2, 2, 70, k->tied) : small_llama(13, 12, 6, 2, 2, 1, 4, 70, k->tied), true);
    if (k->lora) {
        LoraOptions o = options("all-linear", 3);
        o.rslora = k->rslora;
        if (k->rows) lora_tokens(&o, m, (const int32_t[]){2, 12, 7}, 3);
        lora_attach(m, &o);
        if (k->going_on) move(m);
    }
    model_alloc_training(m, false);
    return m;
}

static real **random_fisher(const Model *m) {
    real **f = mem_new(m->count, sizeof *f);
    for (size_t i = 0; i < m->count; i++) {
        if (m->params[i]->adapter) continue;
        f[i] = random_reals(param_size(m->params[i]), 1);
        for (size_t j = 0; j < param_size(m->params[i]); j++) f[i][j] *= f[i][j];
    }
    return f;
}

static void away(Model *m) {
    for (size_t i = 0; i < m->count; i++)
        for (size_t j = 0; !m->params[i]->frozen && j < param_size(m->params[i]); j++) ((real *)m->params[i]->w)[j] += (real)random_number(0.2);
    adapter_refresh(m);
}

static void clear_gradients(Model *m) {
    for (size_t i = 0; i < m->count; i++)
        if (m->params[i]->g) memset(m->params[i]->g, 0, param_size(m->params[i]) * sizeof(real));
}

typedef struct {
    Penalty *p;
    Model *m;
} Penalised;

/* The value alone: the gradients that stand in m are kept. */
static double without_gradients(Model *m, double (*loss)(void *), void *context) {
    real **kept = mem_new(m->count, sizeof *kept);
    for (size_t i = 0; i < m->count; i++) {
        Param *q = m->params[i];
        kept[i] = q->g;
        if (q->g) q->g = mem_new(param_size(q), sizeof(real));
    }
    double value = loss(context);
    for (size_t i = 0; i < m->count; i++) {
        mem_free(m->params[i]->g);
        m->params[i]->g = kept[i];
    }
    mem_free(kept);
    return value;
}

static double penalty_alone(void *context) {
    const Penalised *c = context;
    return penalty_add(c->p, c->m);
}

static double penalty_value(void *context) { return without_gradients(((Penalised *)context)->m, penalty_alone, context); }

static void test_penalty_gradients(void) {
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const Case *k = &cases[i];
        Model *m = model_of(k);
        real **f = random_fisher(m);
        Penalised c = {penalty_new(m, k->l2_sp, k->ewc, k->ewc > 0 ? f : NULL), m};
        CHECK(!(penalty_value(&c) > 0), "%s: 0 at the anchor", k->name);
        away(m);
        double value = penalty_add(c.p, m), worst = 0;
        CHECK(value > 0);
        for (size_t j = 0; j < m->count; j++) {
            if (!m->params[j]->g) continue;
            double e = gradcheck_loss(m, m->params[j], ELEMENTS, penalty_value, &c);
            CHECK(e < 1e-8, "%s: %s is off by %.2e", k->name, m->params[j]->name, e);
            if (!(e <= worst)) worst = e;
        }
        printf("%-34s penalty %.4f  %.1e\n", k->name, value, worst);
        /* it is added */
        clear_gradients(m);
        Param *q = NULL;
        for (size_t j = 0; j < m->count; j++)
            if (m->params[j]->g && m->params[j]->rank == 2) q = m->params[j];
        penalty_add(c.p, m);
        real one = q->g[1];
        penalty_add(c.p, m);
        double twice = (double)q->g[1] - 2 * (double)one;
        CHECK(twice < 1e-12 && twice > -1e-12 && (one > 0 || one < 0));
        penalty_free(c.p), model_free(m);
    }
}

/* Literally: F = 1 gives λ/2 ‖ΔW‖², whatever A and B are made of, and EWC λ/2 Σ F ΔW². */
static void test_penalty_definition(void) {
    for (int kind = 0; kind < 8; kind++) {
        const Case k = {.gpt2 = kind & 1, .lora = true, .going_on = kind & 2};
        Model *m = model_of(&k);
        real **f = random_fisher(m);
        Adapter *a = m->adapter;
        real **before = mem_new(2 * a->count, sizeof *before);
        for (size_t i = 0; i < a->count; i++)
            for (int j = 0; j < 2; j++) {
                const Param *q = j ? a->loras[i].b : a->loras[i].a;
                before[2 * i + (size_t)j] = mem_new(param_size(q), sizeof(real));
                memcpy(before[2 * i + (size_t)j], q->w, param_size(q) * sizeof(real));
            }
        Penalty *p = kind & 4 ? penalty_new(m, 0, 1.75, f) : penalty_new(m, 1.75, 0, NULL);
        away(m);
        double value = penalty_add(p, m), sum = 0;
        for (size_t i = 0; i < a->count; i++) {
            const Linear *l = a->linears[i];
            size_t r = l->lora->rank, at = 0;
            while (m->params[at] != l->w) at++;
            for (size_t o = 0; o < l->out; o++)
                for (size_t n = 0; n < l->in; n++) {
                    double d = 0;
                    for (size_t e = 0; e < r; e++) {
                        d += (double)l->lora->scale * param_real(l->lora->b)[o * r + e] * param_real(l->lora->a)[e * l->in + n];
                        d -= (double)l->lora->scale * before[2 * i + 1][o * r + e] * before[2 * i][e * l->in + n];
                    }
                    sum += d * d * (kind & 4 ? f[at][k.gpt2 ? n * l->out + o : o * l->in + n] : 1);
                }
        }
        double error = value - 1.75 / 2 * sum;
        CHECK(error < 1e-12 * value && error > -1e-12 * value, "kind %d: %.17g, by definition %.17g", kind, value, 1.75 / 2 * sum);
        penalty_free(p), model_free(m);
    }
    LoraOptions o = options("q_proj", 2);
    o.dora = true;
    Model *m = adapted(llama(), &o);
    CHECK_FAILS(2, "leave out --dora", penalty_new(m, 1, 0, NULL));
}

/* ---- distillation ---- */

typedef struct {
    Model *m, *teacher;
    Pass *p, *forward;
    const Batch *b;
    size_t samples;
    double weight;
} Taught;

/* Mean loss of the supervised tokens plus weight times the mean KL of the distilled ones, and its gradients. */
static double taught(void *context) {
    const Taught *c = context;
    double sum = 0, kl = 0, scale = c->weight / (double)batch_distilled(c->b);
    Batch part = {0};
    model_teach(c->m, c->p, c->teacher, c->forward, scale, &kl);
    model_begin_gradients(c->m, c->p, c->b->ids, c->b->tokens);
    for (size_t i = 0; i < c->b->segment_count; i += c->samples) {
        batch_clear(&part);
        for (size_t j = i; j < c->b->segment_count && j < i + c->samples; j++) batch_add_segment(&part, c->b, j);
        model_step(c->m, c->p, &part, 1 / batch_weight(c->b), i == 0, &sum);
    }
    model_finish_gradients(c->m, c->p);
    batch_free(&part);
    return sum / batch_weight(c->b) + scale * kl;
}

static double taught_value(void *context) { return without_gradients(((Taught *)context)->m, taught, context); }

/* Segments 0 and 1 are the task's, 2 is learned and distilled, 3 is distilled alone. */
static Batch mixed_batch(const Config *c) {
    Batch b = keyed_batch(c, 4);
    batch_distil(&b, 2);
    for (size_t n = b.segments[3].row; n < b.tokens; n++) b.targets[n] = -1;
    mem_free(b.keys), b.keys = NULL;
    return b;
}

static void test_distillation(void) {
    for (int kind = 0; kind < 12; kind++) {
        const Case k = {.gpt2 = kind & 1, .tied = kind & 2, .lora = kind >= 4, .rows = kind >= 8};
        Model *m = model_of(&k), *base = NULL;
        if (!k.lora) {
            random_draws = 0;
            m = model_of(&k);
            random_draws = 0;
            base = model_of(&k);
        }
        away(m);
        Batch b = mixed_batch(&m->config);
        Taught c = {m, k.lora ? m : base, pass_new(m, b.tokens, true, kind & 1), pass_new(k.lora ? m : base, b.tokens, false, false), &b, 1 + (size_t)kind % 3, 0.7};
        double value = taught(&c), worst = 0;
        c.weight = 0;
        double alone = taught_value(&c);
        c.weight = 0.7;
        CHECK(value > alone, "the KL is above 0: %g, without it %g", value, alone);
        for (size_t j = 0; j < m->count; j++) {
            if (!m->params[j]->g) continue;
            double e = gradcheck_loss(m, m->params[j], ELEMENTS, taught_value, &c);
            CHECK(e < 1e-7, "kind %d: %s is off by %.2e", kind, m->params[j]->name, e);
            if (!(e <= worst)) worst = e;
        }
        printf("distillation, %-5s%s%s%s  %.1e\n", k.gpt2 ? "gpt2" : "llama", k.tied ? ", tied" : "", k.lora ? ", LoRA" : "", k.rows ? ", rows" : "", worst);
        pass_free(c.p), pass_free(c.forward);
    }
}

/* The KL by its definition, from the logits of both. */
static void test_kl_definition(void) {
    const Case k = {.lora = true};
    Model *m = model_of(&k);
    Batch b = mixed_batch(&m->config);
    Taught c = {m, m, pass_new(m, b.tokens, true, false), pass_new(m, b.tokens, false, false), &b, 2, 1};
    size_t V = m->config.vocab;
    c.weight = 0;
    double same = taught_value(&c);
    c.weight = 1;
    CHECK(double_bits(same) == double_bits(taught_value(&c)), "at the base the KL is exactly 0");
    away(m);
    c.weight = 0;
    double alone = taught_value(&c), sum = 0;
    c.weight = 1;
    double kl = taught_value(&c) - alone;
    real *p = logits_of(m, &b);
    adapter_enable(m, false);
    real *q = logits_of(m, &b);
    adapter_enable(m, true);
    for (size_t n = b.segments[2].row; n < b.tokens; n++) {
        double of_p = 0, of_q = 0;
        for (size_t i = 0; i < V; i++) of_p += d_exp(p[n * V + i]), of_q += d_exp(q[n * V + i]);
        for (size_t i = 0; i < V; i++) sum += d_exp(q[n * V + i]) / of_q * (q[n * V + i] - d_log(of_q) - p[n * V + i] + d_log(of_p));
    }
    double error = kl - sum / (double)batch_distilled(&b);
    CHECK(error < 1e-12 && error > -1e-12 && kl > 0.001, "%.17g, by definition %.17g", kl, sum / (double)batch_distilled(&b));
}

/* ---- Fisher ---- */

static const Batch *source_batch;

static void add_segment(const void *self, size_t sample, Batch *b) {
    (void)self;
    batch_add_segment(b, source_batch, sample % source_batch->segment_count);
}

/* Empirical, of one sequence: the square of the gradient of the sum of log p, by differences. */
static double sum_loss(void *context) {
    const Taught *c = context;
    double *losses = mem_new(c->b->tokens, sizeof *losses), sum = 0;
    model_forward(c->m, c->forward, c->b);
    model_loss(c->m, c->forward, c->b, losses);
    for (size_t n = 0; n < c->b->tokens; n++) sum += losses[n];
    mem_free(losses);
    return sum;
}

static void test_fisher(void) {
    for (int kind = 0; kind < 4; kind++) {
        const Case k = {.gpt2 = kind & 1, .tied = kind & 2};
        Model *m = model_of(&k);
        const size_t length = 7;
        Batch b = random_batch(&m->config, &length, 1, false);
        Source s = {.samples = 1, .longest = 12, .add = add_segment};
        source_batch = &b;
        Pass *p = pass_new(m, 12, true, false);
        Fisher *f = fisher_new(m, p, &s, 0, true, 1);
        Taught c = {m, NULL, NULL, p, &b, 1, 0};
        CHECK(f->sequences == 1 && f->empirical);
        for (size_t i = 0; i < m->count; i++) {
            Param *q = m->params[i];
            for (size_t j = 0; j < param_size(q); j++) {
                double e = (double)f->values[i][j] - (double)q->g[j] * (double)q->g[j];
                CHECK(e < 1e-15 && e > -1e-15);
            }
            double e = gradcheck_loss(m, q, ELEMENTS, sum_loss, &c);
            CHECK(e < 1e-7, "%s is off by %.2e", q->name, e);
        }
        fisher_free(f), pass_free(p);
    }
}

/* The true one: over many draws, what is expected of a token that stands alone, Σ_y p(y) (d log p(y))², added up by hand. */
static void test_true_fisher(void) {
    const Case k = {.tied = false};
    enum { DRAWS = 1500 };
    Model *m = model_of(&k);
    size_t V = m->config.vocab;
    const int32_t id[] = {5}, any[] = {1};
    Batch one = {0};
    batch_add(&one, id, any, NULL, 1);
    source_batch = &one;
    Source s = {.samples = DRAWS, .longest = 1, .add = add_segment};
    Pass *p = pass_new(m, 1, true, false);
    Fisher *f = fisher_new(m, p, &s, 0, false, 1), *again = fisher_new(m, p, &s, 0, false, 1), *other = fisher_new(m, p, &s, 0, false, 2);
    Param *q = model_find(m, "model.layers.1.mlp.down_proj.weight");
    size_t at = 0;
    while (m->params[at] != q) at++;
    real *z = logits_of(m, &one);
    double *expected = mem_new(param_size(q), sizeof *expected), total = 0, difference = 0, size = 0, sum = 0;
    for (size_t y = 0; y < V; y++) total += d_exp(z[y]);
    for (size_t y = 0; y < V; y++) {
        one.targets[0] = (int32_t)y;
        model_begin_gradients(m, p, one.ids, 1);
        model_step(m, p, &one, 1, true, &sum);
        model_finish_gradients(m, p);
        for (size_t j = 0; j < param_size(q); j++) expected[j] += d_exp(z[y]) / total * q->g[j] * q->g[j];
    }
    for (size_t j = 0; j < param_size(q); j++) {
        double d = f->values[at][j] - expected[j];
        difference += d * d, size += expected[j] * expected[j];
    }
    double error = d_sqrt(difference / size);
    CHECK(error < 0.08, "%g from what is expected", error);
    printf("true Fisher, %d draws: %.3f from what is expected\n", DRAWS, error);
    CHECK(!memcmp(f->values[at], again->values[at], param_size(q) * sizeof(real)) && memcmp(f->values[at], other->values[at], param_size(q) * sizeof(real)));
}

TESTS({"gradients of penalties", test_penalty_gradients}, {"penalties by definition", test_penalty_definition}, {"gradients of distillation", test_distillation},
      {"KL by definition", test_kl_definition}, {"Fisher", test_fisher}, {"the true Fisher", test_true_fisher})
