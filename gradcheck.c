#include "gradcheck.h"

#include "fp.h"
#include "lora.h"

#include <assert.h>

double batch_loss(const Model *m, Pass *p, const Batch *b, double *losses) {
    double sum = 0;
    model_forward(m, p, b);
    model_loss(m, p, b, losses);
    for (size_t n = 0; n < b->tokens; n++) sum += (double)b->weights[n] * losses[n];
    return sum / batch_weight(b);
}

double batch_gradients(Model *m, Pass *p, const Batch *b, size_t samples) {
    double weight = batch_weight(b), sum = 0;
    Batch part = {0};
    model_begin_gradients(m, p, b->ids, b->tokens);
    for (size_t i = 0; i < b->segment_count; i += samples) {
        batch_clear(&part);
        for (size_t j = i; j < b->segment_count && j < i + samples; j++) batch_add_segment(&part, b, j);
        model_step(m, p, &part, 1 / weight, i == 0, &sum);
    }
    model_finish_gradients(m, p);
    batch_free(&part);
    return sum / weight;
}

double gradcheck_loss(Model *m, Param *param, size_t elements, double (*loss)(void *), void *context) {
    size_t size = param_size(param), count = size < elements ? size : elements;
    double difference = 0, reference = 0;
    real *w = param->w;
    assert(param->stored == STORED_REAL);
    for (size_t i = 0; i < count; i++) {
        size_t at = count == size ? i : rng_below((uint32_t)size, 1, RNG_TEST, i, 0);
        const double h = 3e-4; /* the fifth derivative of a narrow norm is large: at 1e-3 it showed */
        real kept = w[at];
        double f[4];
        const double steps[4] = {-2, -1, 1, 2};
        for (int j = 0; j < 4; j++) {
            w[at] = (real)((double)kept + steps[j] * h);
            adapter_refresh_rows(m); /* but not DoRA's norms, which count as constants */
            f[j] = loss(context);
        }
        w[at] = kept;
        adapter_refresh_rows(m);
        double numeric = (f[0] - 8 * f[1] + 8 * f[2] - f[3]) / (12 * h), d = numeric - (double)param->g[at];
        difference += d * d, reference += numeric * numeric;
    }
    return reference > 0 ? d_sqrt(difference / reference) : d_sqrt(difference);
}

typedef struct {
    Model *m;
    Pass *p;
    const Batch *b;
    double *losses;
} Mean;

static double mean_loss(void *context) {
    const Mean *c = context;
    return batch_loss(c->m, c->p, c->b, c->losses);
}

double gradcheck_param(Model *m, Pass *p, const Batch *b, Param *param, size_t elements, double *losses) {
    Mean mean = {m, p, b, losses};
    return gradcheck_loss(m, param, elements, mean_loss, &mean);
}
