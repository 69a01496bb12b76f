/* Both whole models against five-point central differences, Param by Param, over all forks; in double. */
#include "small_models.h"
#include "test.h"

#ifndef REAL_F64
#error "gradients are checked in double: build with -DREAL_F64"
#endif

enum { ELEMENTS = 12, MOST_ADAPTERS = 64 };

typedef struct {
    const char *name;
    Config config;
    size_t lengths[4], segments, rank, samples;   /* rank 0: no adapters; samples: segments of a micro-batch */
    bool recompute;
} Case;

static double check_case(const Case *k) {
    Model *m = small_model(k->config, true);
    Param *adapters[MOST_ADAPTERS];
    size_t adapter_count = k->rank ? attach_adapters(m, k->rank, adapters, false) : 0;
    model_alloc_training(m, false);
    Batch b = random_batch(&m->config, k->lengths, k->segments, true);
    Pass *p = pass_new(m, b.tokens, true, k->recompute);
    double *losses = mem_new(b.tokens, sizeof *losses), worst = 0;
    double loss = batch_gradients(m, p, &b, k->samples), forward = batch_loss(m, p, &b, losses);
    CHECK(loss - forward < 1e-13 && forward - loss < 1e-13, "%s: the loss of the step %.17g is that of forward %.17g", k->name, loss, forward);
    for (size_t i = 0; i < m->count + adapter_count; i++) {
        Param *param = i < m->count ? m->params[i] : adapters[i - m->count];
        double error = gradcheck_param(m, p, &b, param, ELEMENTS, losses);
        CHECK(error < 1e-7, "%s: %s is off by %.2e", k->name, param->name, error);
        if (!(error <= worst)) worst = error;
    }
    printf("%-34s %3zu tensors %4zu tokens  %.1e\n", k->name, m->count + adapter_count, b.tokens, worst);
    return worst;
}

static Config with(Config c, bool qkv, bool out, bool mlp) {
    c.qkv_bias = qkv, c.out_bias = out, c.mlp_bias = mlp;
    return c;
}

static void test_gpt2(void) {
    const Case cases[] = {
        {"gpt2 tied", small_gpt2(19, 9, 12, 2, 3, 20, true), {9, 4, 1}, 3, 0, 3, false},
        {"gpt2 untied", small_gpt2(7, 5, 5, 2, 1, 3, false), {5, 5, 2, 1}, 4, 0, 1, false},
        {"gpt2 tied, micro-batches, recompute", small_gpt2(23, 8, 8, 2, 2, 17, true), {8, 3, 6, 8}, 4, 0, 1, true},
        {"gpt2 LoRA", small_gpt2(13, 7, 6, 2, 2, 9, true), {7, 2}, 2, 3, 2, false},
        {"gpt2 LoRA, micro-batches", small_gpt2(13, 7, 6, 1, 3, 9, false), {7, 2, 5}, 3, 2, 1, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) check_case(&cases[i]);
}

static void test_llama(void) {
    const Case cases[] = {
        {"llama tied", small_llama(19, 9, 12, 2, 3, 3, 4, 20, true), {9, 4, 1}, 3, 0, 3, false},
        {"llama untied", small_llama(7, 5, 5, 2, 1, 1, 2, 3, false), {5, 5, 2, 1}, 4, 0, 1, false},
        {"llama grouped heads", small_llama(11, 8, 8, 2, 4, 2, 2, 7, true), {8, 3}, 2, 0, 2, false},
        {"llama one KV head", small_llama(11, 8, 9, 2, 3, 1, 6, 5, false), {6, 8}, 2, 0, 1, false},
        {"llama qkv bias", with(small_llama(11, 6, 8, 2, 2, 1, 4, 7, true), true, false, false), {6, 3}, 2, 0, 2, false},
        {"llama out bias", with(small_llama(11, 6, 8, 1, 2, 1, 4, 7, true), false, true, false), {6, 3}, 2, 0, 2, false},
        {"llama mlp bias", with(small_llama(11, 6, 8, 1, 2, 1, 4, 7, false), false, false, true), {6, 3}, 2, 0, 2, false},
        {"llama all biases, recompute", with(small_llama(17, 9, 7, 2, 2, 2, 4, 11, true), true, true, true), {9, 1, 4, 6}, 4, 0, 1, true},
        {"llama LoRA", small_llama(13, 7, 6, 2, 2, 1, 4, 9, true), {7, 2}, 2, 3, 2, false},
        {"llama LoRA, biases, micro-batches", with(small_llama(13, 7, 6, 1, 4, 2, 2, 5, false), true, true, true), {7, 2, 5}, 3, 2, 1, true},
        {"llama 40 tokens", small_llama(9, 40, 4, 1, 2, 1, 2, 3, true), {40, 33}, 2, 0, 1, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) check_case(&cases[i]);
}

/* The checker is not blind: one element off by a thousandth of the tensor's size is seen. */
static void test_checker(void) {
    Model *m = small_model(small_llama(7, 5, 6, 1, 2, 1, 4, 5, true), true);
    model_alloc_training(m, false);
    Batch b = random_batch(&m->config, (size_t[]){5, 3}, 2, false);
    Pass *p = pass_new(m, b.tokens, true, false);
    double *losses = mem_new(b.tokens, sizeof *losses);
    batch_gradients(m, p, &b, 2);
    for (size_t i = 0; i < m->count; i++) {
        Param *param = m->params[i];
        double size = 0;
        for (size_t j = 0; j < param_size(param); j++) size += param->g[j] * param->g[j];
        param->g[0] += 1e-3 * d_sqrt(size);
        double error = gradcheck_param(m, p, &b, param, param_size(param), losses);
        CHECK(error > 9e-4 && error < 1.1e-3, "%s: %.2e", param->name, error);
    }
}

/* Frozen Params: what has no g keeps none, and the others' gradients are the same bits. */
static void test_frozen(void) {
    for (int family = 0; family < 2; family++) {
        Config c = family ? small_llama(11, 6, 8, 2, 2, 1, 4, 7, true) : small_gpt2(11, 6, 8, 2, 2, 7, false);
        Model *m = small_model(c, true);
        Param *adapters[MOST_ADAPTERS];
        size_t count = attach_adapters(m, 2, adapters, false);
        model_alloc_training(m, false);
        Batch b = random_batch(&m->config, (size_t[]){6, 3}, 2, true);
        Pass *p = pass_new(m, b.tokens, true, false);
        batch_gradients(m, p, &b, 1);
        real *kept[MOST_ADAPTERS];
        for (size_t i = 0; i < count; i++) {
            kept[i] = adapters[i]->g;
            adapters[i]->g = nan_reals(param_size(adapters[i]));
        }
        for (size_t i = 0; i < m->count; i++) m->params[i]->g = NULL, m->params[i]->g_sum = NULL;
        batch_gradients(m, p, &b, 1);
        for (size_t i = 0; i < count; i++) CHECK(!memcmp(kept[i], adapters[i]->g, param_size(adapters[i]) * sizeof(real)), "%s", adapters[i]->name);
    }
}

TESTS({"gpt2", test_gpt2}, {"llama", test_llama}, {"the checker sees", test_checker}, {"frozen base", test_frozen})
