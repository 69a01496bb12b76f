/* AdamW against its definition word for word, and in double; schedules, clipping, the norm. */
#include "../optim.h"
#include "../parallel.h"
#include "small_models.h"
#include "test.h"

#include <math.h>

/* Matrices above and below the size that is shared among threads, ends of no multiple of 16, vectors. */
static Model *model_with_gradients(void) {
    Model *m = small_model(small_llama(300, 8, 60, 1, 2, 1, 30, 37, true), true);
    model_alloc_training(m, true);
    for (size_t i = 0; i < m->count; i++) random_fill(m->params[i]->g, param_size(m->params[i]), 1);
    return m;
}

/* ---- schedules ---- */

static double lr_at(Schedule s, size_t steps, size_t warmup, size_t t) {
    OptimOptions o = {.lr = 3e-3, .min_lr = 1e-4, .schedule = s, .steps = steps, .warmup = warmup};
    return optim_lr(&o, t);
}

#define NEAR(a, b) CHECK(fabs((a) - (b)) <= 1e-15, "%.17g, expected %.17g", (double)(a), (double)(b))

static void test_warmup(void) {
    for (Schedule s = SCHEDULE_CONSTANT; s <= SCHEDULE_WSD; s++) {
        NEAR(lr_at(s, 100, 10, 0), 3e-4);
        NEAR(lr_at(s, 100, 10, 4), 1.5e-3);
        NEAR(lr_at(s, 100, 10, 9), 3e-3);
        NEAR(lr_at(s, 100, 10, 10), 3e-3);
        NEAR(lr_at(s, 100, 1, 0), 3e-3);
        NEAR(lr_at(s, 100, 0, 0), 3e-3);
        NEAR(lr_at(s, 5, 10, 4), 1.5e-3); /* a warmup longer than the run */
    }
}

static void test_schedules(void) {
    NEAR(lr_at(SCHEDULE_CONSTANT, 100, 10, 99), 3e-3);
    for (size_t t = 10; t < 110; t++) {
        double x = (double)(t - 10) / 100;
        NEAR(lr_at(SCHEDULE_LINEAR, 110, 10, t), 1e-4 + 2.9e-3 * (1 - x));
        NEAR(lr_at(SCHEDULE_COSINE, 110, 10, t), 1e-4 + 2.9e-3 * (0.5 + 0.5 * cos(3.14159265358979323846 * x)));
        NEAR(lr_at(SCHEDULE_WSD, 110, 10, t), t < 88 ? 3e-3 : 1e-4 + 2.9e-3 * (double)(110 - t) / 22);
    }
    NEAR(lr_at(SCHEDULE_COSINE, 110, 10, 60), 1.55e-3); /* half way */
    NEAR(lr_at(SCHEDULE_LINEAR, 110, 10, 110), 1e-4);
    NEAR(lr_at(SCHEDULE_COSINE, 110, 10, 500), 1e-4);
    NEAR(lr_at(SCHEDULE_WSD, 110, 10, 500), 1e-4);
    NEAR(lr_at(SCHEDULE_WSD, 4, 0, 3), 3e-3); /* no fifth to fall over */
}

/* ---- the norm ---- */

/* The definition word for word: blocks of 4,096 in file layout, eight lanes, one tree, blocks of a Param, then Params. */
static double norm_by_definition(const Model *m) {
    double total = 0;
    for (size_t i = 0; i < m->count; i++) {
        const Param *p = m->params[i];
        double param = 0;
        for (size_t start = 0; start < param_size(p); start += 4096) {
            double lane[8] = {0};
            for (size_t j = start; j < param_size(p) && j < start + 4096; j++) lane[(j - start) % 8] += (double)p->g[j] * (double)p->g[j];
            param += ((lane[0] + lane[4]) + (lane[2] + lane[6])) + ((lane[1] + lane[5]) + (lane[3] + lane[7]));
        }
        total += param;
    }
    return sqrt(total);
}

static void test_norm(void) {
    static const int threads[] = {1, 2, 3, 7};
    Model *m = model_with_gradients();
    double expected = norm_by_definition(m), plain = 0;
    int before = thread_count();
    for (size_t i = 0; i < m->count; i++)
        for (size_t j = 0; j < param_size(m->params[i]); j++) plain += (double)m->params[i]->g[j] * (double)m->params[i]->g[j];
    CHECK(fabs(expected / sqrt(plain) - 1) < 1e-13);
    for (int i = 0; i < 4; i++) {
        thread_limit(threads[i]);
        CHECK(optim_grad_norm(m) == expected, "%d threads: %.17g, by definition %.17g", threads[i], optim_grad_norm(m), expected);
    }
    thread_limit(before);
    mem_free(m->params[2]->g), m->params[2]->g = NULL; /* frozen: not counted */
    real *g = m->params[2]->g = mem_new(param_size(m->params[2]), sizeof *g);
    expected = norm_by_definition(m);
    m->params[2]->g = NULL;
    CHECK(optim_grad_norm(m) == expected);
}

static void test_non_finite(void) {
    static const uint32_t bad[] = {0x7FC00000u, 0x7F800000u, 0xFF800000u};
    Model *m = model_with_gradients();
    CHECK(!optim_non_finite(m));
    for (int k = 0; k < 3; k++) {
        for (size_t i = m->count; i-- > 0;) {
            Param *p = m->params[i];
            size_t at = param_size(p) - 1;
            p->g[at] = (real)bits_float(bad[k]);
            CHECK(optim_non_finite(m) == p, "%s", p->name);
            CHECK(!is_finite(optim_grad_norm(m)));
        }
        for (size_t i = 0; i < m->count; i++) m->params[i]->g[param_size(m->params[i]) - 1] = 0;
    }
    CHECK(!optim_non_finite(m));
}

/* ---- AdamW ---- */

static double squaring(double b, size_t n) { /* lowest bit first, as the definition says */
    double r = 1;
    while (n) {
        if (n % 2) r = r * b;
        b = b * b, n = n / 2;
    }
    return r;
}

static real flushed(real x) { return (x < 0 ? -x : x) < (real)0x1p-100 ? 0 : x; }

/* spec.md section 2, in its order, in `real`. */
static void update_by_definition(const Param *p, real *w, real *m, real *v, const OptimOptions *o, size_t t, double norm) {
    double lr = optim_lr(o, t), clip = o->clip > 0 && o->clip / (norm + 1e-6) < 1 ? o->clip / (norm + 1e-6) : 1;
    real c = (real)clip, decay = p->rank == 2 ? (real)(1 - lr * o->weight_decay) : 1, eps = (real)o->eps;
    real a = (real)(lr / (1 - squaring(o->beta1, t + 1))), d = (real)(1 / sqrt(1 - squaring(o->beta2, t + 1)));
    real beta1 = (real)o->beta1, beta2 = (real)o->beta2, rest1 = (real)(1 - o->beta1), rest2 = (real)(1 - o->beta2);
    for (size_t j = 0; j < param_size(p); j++) {
        real g = p->g[j] * c;
        m[j] = flushed(real_fma(beta1, m[j], rest1 * g));
        v[j] = flushed(real_fma(beta2, v[j], (rest2 * g) * g));
        w[j] = w[j] * decay;
        w[j] = real_fma(-a, m[j] / real_fma(real_sqrt(v[j]), d, eps), w[j]);
    }
}

static void test_update_bits(void) {
    static const size_t times[] = {0, 1, 2, 7, 63, 64, 1000, 1000000};
    static const int threads[] = {1, 2, 3, 7};
    int before = thread_count();
    OptimOptions o = {.lr = 2e-3, .min_lr = 1e-4, .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .weight_decay = 0.1, .clip = 1,
                      .schedule = SCHEDULE_COSINE,
                      .steps = 100, .warmup = 3};
    for (size_t k = 0; k < sizeof times / sizeof *times; k++) {
        Model *m = model_with_gradients();
        real *expected[32][3];
        double norm = optim_grad_norm(m);
        o.clip = k % 2 ? 1 : 0;
        for (size_t i = 0; i < m->count; i++) {
            Param *p = m->params[i];
            size_t n = param_size(p);
            random_fill(p->m, n, 0.1);
            for (size_t j = 0; j < n; j++) p->v[j] = (real)fabs(random_number(0.1));
            real *from[3] = {p->w, p->m, p->v};
            for (int part = 0; part < 3; part++) expected[i][part] = memcpy(mem_new(n, sizeof(real)), from[part], n * sizeof(real));
            update_by_definition(p, expected[i][0], expected[i][1], expected[i][2], &o, times[k], norm);
        }
        thread_limit(threads[k % 4]);
        optim_update(m, &o, times[k], norm);
        for (size_t i = 0; i < m->count; i++) {
            Param *p = m->params[i];
            size_t bytes = param_size(p) * sizeof(real);
            CHECK(!memcmp(p->w, expected[i][0], bytes) && !memcmp(p->m, expected[i][1], bytes) && !memcmp(p->v, expected[i][2], bytes),
                  "%s at %zu", p->name,
                  times[k]);
        }
    }
    thread_limit(before);
}

/* Thirty updates beside AdamW in double as the paper writes it, with powers by pow(). */
static void test_update_literal(void) {
    Model *m = small_model(small_gpt2(9, 5, 6, 1, 2, 7, true), true);
    OptimOptions o = {.lr = 1e-2, .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-8, .weight_decay = 0.3, .clip = 2, .schedule = SCHEDULE_LINEAR,
                      .steps = 30, .warmup = 4};
    double *w[32], *first[32], *second[32], worst = 0;
    model_alloc_training(m, true);
    for (size_t i = 0; i < m->count; i++) {
        size_t n = param_size(m->params[i]);
        w[i] = mem_new(n, sizeof(double)), first[i] = mem_new(n, sizeof(double)), second[i] = mem_new(n, sizeof(double));
        for (size_t j = 0; j < n; j++) w[i][j] = (double)param_real(m->params[i])[j];
    }
    for (size_t t = 0; t < o.steps; t++) {
        for (size_t i = 0; i < m->count; i++) random_fill(m->params[i]->g, param_size(m->params[i]), t % 3 ? 1 : 0.01);
        double norm = norm_by_definition(m), scale = norm > o.clip ? o.clip / (norm + 1e-6) : 1, lr = optim_lr(&o, t);
        for (size_t i = 0; i < m->count; i++) {
            const Param *p = m->params[i];
            for (size_t j = 0; j < param_size(p); j++) {
                double g = (double)p->g[j] * scale;
                first[i][j] = o.beta1 * first[i][j] + (1 - o.beta1) * g;
                second[i][j] = o.beta2 * second[i][j] + (1 - o.beta2) * g * g;
                double m_hat = first[i][j] / (1 - pow(o.beta1, (double)t + 1)), v_hat = second[i][j] / (1 - pow(o.beta2, (double)t + 1));
                if (p->rank == 2) w[i][j] *= 1 - lr * o.weight_decay;
                w[i][j] -= lr * m_hat / (sqrt(v_hat) + o.eps);
            }
        }
        optim_update(m, &o, t, optim_grad_norm(m));
    }
    for (size_t i = 0; i < m->count; i++)
        for (size_t j = 0; j < param_size(m->params[i]); j++) {
            double off = fabs((double)param_real(m->params[i])[j] - w[i][j]);
            if (!(off <= worst)) worst = off;
        }
    CHECK(worst < 2e-6, "%.1e", worst);
}

static void test_clipping(void) {
    Model *m = model_with_gradients();
    double norm = optim_grad_norm(m);
    OptimOptions o = {.lr = 1e-3, .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .steps = 10};
    real *g = m->params[0]->g, before = g[5];
    optim_update(m, &o, 0, norm);
    CHECK(g[5] == before, "0: no clipping");
    o.clip = norm * 2;
    optim_update(m, &o, 0, norm);
    CHECK(g[5] == before, "below the bound");
    o.clip = norm / 8;
    optim_update(m, &o, 0, norm);
    CHECK(fabs(optim_grad_norm(m) / o.clip - 1) < 1e-6, "%g, bound %g", optim_grad_norm(m), o.clip);
}

/* Without gradient only weight decay moves a weight, and only of a matrix. */
static void test_decay(void) {
    Model *m = model_with_gradients();
    OptimOptions o = {.lr = 0.5, .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .weight_decay = 0.25, .steps = 10};
    for (size_t i = 0; i < m->count; i++) {
        Param *p = m->params[i];
        memset(p->g, 0, param_size(p) * sizeof(real));
        for (size_t j = 0; j < param_size(p); j++) ((real *)p->w)[j] = 3;
    }
    Param *frozen = m->params[1], *still = m->params[3];
    frozen->g = NULL, still->g = NULL;
    optim_update(m, &o, 0, 0);
    for (size_t i = 0; i < m->count; i++) {
        Param *p = m->params[i];
        size_t n = param_size(p), wrong = 0;
        real expected = p->rank == 2 && p->g ? 3 * (real)(1 - 0.5 * 0.25) : 3;
        for (size_t j = 0; j < n; j++) wrong += param_real(p)[j] != expected;
        CHECK(!wrong, "%s: %zu of %zu", p->name, wrong, n);
    }
}

/* Moments below 2^-100 are +0, never -0, and the others stay. */
static void test_flush(void) {
    Model *m = model_with_gradients();
    Param *p = m->params[0];
    OptimOptions o = {.lr = 1e-3, .beta1 = 0.5, .beta2 = 0.5, .eps = 1e-8, .steps = 10};
    static const double start[] = {0x1p-98, 0x1p-99, 0x1.fffffep-100, -0x1p-99, -0x1p-100, -0x1p-130, 0x1p-140, -0.0};
    memset(p->g, 0, param_size(p) * sizeof(real));
    for (size_t j = 0; j < 8; j++) p->m[j] = (real)start[j], p->v[j] = (real)fabs(start[j]);
    optim_update(m, &o, 0, 0);
    for (size_t j = 0; j < 8; j++) {
        bool stays = fabs(start[j] / 2) >= 0x1p-100;
        real expected_m = stays ? (real)(start[j] / 2) : 0, expected_v = stays ? (real)(fabs(start[j]) / 2) : 0;
        CHECK(!memcmp(&p->m[j], &expected_m, sizeof(real)) && !memcmp(&p->v[j], &expected_v, sizeof(real)), "%a: %a and %a", start[j],
              (double)p->m[j], (double)p->v[j]);
    }
}

TESTS({"warmup", test_warmup}, {"schedules", test_schedules}, {"norm", test_norm}, {"non-finite", test_non_finite},
      {"update: bits", test_update_bits},
      {"update: literal", test_update_literal}, {"clipping", test_clipping}, {"decay", test_decay}, {"flush", test_flush})
