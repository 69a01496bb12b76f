#include "merge.h"

#include <assert.h>
#include <string.h>

enum { LOGITS = 1 << 20 };            /* of each model at a time, about */

static size_t likeliest(const real *logits, size_t n) {
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        if (logits[i] > logits[best]) best = i;
    return best;
}

static void compare_row(Apart *apart, const real *a, const real *b, size_t V) {
    for (size_t i = 0; i < V; i++) {
        double x = (double)a[i], d = x - (double)b[i];
        if (x < 0) x = -x;
        if (d < 0) d = -d;
        if (x > apart->largest) apart->largest = x;
        if (is_finite(apart->difference) && !(d <= apart->difference)) apart->difference = d;
    }
    apart->tokens++;
    apart->agreed += likeliest(a, V) == likeliest(b, V);
}

Apart models_apart(const Model *a, const Model *b, const Batch *batch) {
    size_t V = a->config.vocab, longest = 0, block = LOGITS / V ? LOGITS / V : 1;
    assert(V == b->config.vocab);
    for (size_t i = 0; i < batch->segment_count; i++)
        if (batch->segments[i].length > longest) longest = batch->segments[i].length;
    const Model *models[] = {a, b};
    Pass *pass[2];
    real *logits[2];
    Batch one = {0};
    Apart apart = {0};
    for (int k = 0; k < 2; k++) pass[k] = pass_new(models[k], longest, false, false), logits[k] = mem_new(size_mul(block, V, "logits"), sizeof(real));
    for (size_t i = 0; i < batch->segment_count; i++) {
        batch_clear(&one);
        batch_add_segment(&one, batch, i);
        for (int k = 0; k < 2; k++) model_forward(models[k], pass[k], &one);
        for (size_t row = 0; row < one.tokens; row += block) {
            size_t n = one.tokens - row < block ? one.tokens - row : block;
            for (int k = 0; k < 2; k++) model_logits(models[k], pass[k], row, n, logits[k]);
            for (size_t j = 0; j < n; j++) compare_row(&apart, logits[0] + j * V, logits[1] + j * V, V);
        }
    }
    for (int k = 0; k < 2; k++) pass_free(pass[k]), mem_free(logits[k]);
    batch_free(&one);
    return apart;
}

void model_interpolate(Model *base, const Model *tuned, double part, const char *base_path, const char *tuned_path) {
    for (size_t i = 0; i < base->count; i++) {
        const Param *p = base->params[i], *q = i < tuned->count ? tuned->params[i] : NULL;
        if (!q || strcmp(p->name, q->name) || memcmp(p->shape, q->shape, sizeof p->shape))
            bad_input("%s and %s are not one architecture: the first has %s [%zu, %zu], the second %s [%zu, %zu]: --tuned is a model that was tuned "
                      "from --model",
                      base_path, tuned_path, p->name, p->shape[0], p->shape[1], q ? q->name : "nothing there", q ? q->shape[0] : 0, q ? q->shape[1] : 0);
    }
    if (tuned->count != base->count)
        bad_input("%s has a tensor more than %s: %s: --tuned is a model that was tuned from --model", tuned_path, base_path,
                  tuned->params[base->count]->name);
    for (size_t i = 0; i < base->count; i++) {
        real *w = base->params[i]->w;
        const real *t = tuned->params[i]->w;
        assert(base->params[i]->stored == STORED_REAL && tuned->params[i]->stored == STORED_REAL);
        for (size_t j = 0; j < param_size(base->params[i]); j++) w[j] = (real)((double)w[j] + part * ((double)t[j] - (double)w[j]));
    }
}
