/* Both whole models against five-point central differences, Param by Param, over all forks; in double. */
#include "small_models.h"
#include "test.h"

#ifndef REAL_F64
#error "gradients are checked in double: build with -DREAL_F64"
#endif

enum { ELEMENTS = 12, MOST_ADAPTERS = 64 };

/* rank 0: no adapters; samples: segments of a micro-batch. */
static void check_case(const char *name, Config config, const size_t *lengths, size_t segments, size_t rank, size_t samples,
                       bool recompute) {
    Model *m = small_model(config, true);
    Param *adapters[MOST_ADAPTERS];
    size_t adapter_count = rank ? attach_adapters(m, rank, adapters, false) : 0;
    model_alloc_training(m, false);
    Batch b = random_batch(&m->config, lengths, segments, true);
    Pass *p = pass_new(m, b.tokens, true, recompute);
    double *losses = mem_new(b.tokens, sizeof *losses), worst = 0;
    double loss = batch_gradients(m, p, &b, samples), forward = batch_loss(m, p, &b, losses);
    CHECK(loss - forward < 1e-13 && forward - loss < 1e-13, "%s: the loss of the step %.17g is that of forward %.17g", name, loss, forward);
    for (size_t i = 0; i < m->count + adapter_count; i++) {
        Param *param = i < m->count ? m->params[i] : adapters[i - m->count];
        double error = gradcheck_param(m, p, &b, param, ELEMENTS, losses);
        CHECK(error < 1e-7, "%s: %s is off by %.2e", name, param->name, error);
        if (!(error <= worst)) worst = error;
    }
    printf("%-36s %3zu tensors %4zu tokens  %.1e\n", name, m->count + adapter_count, b.tokens, worst);
}

#define LENGTHS(...) (const size_t[]){__VA_ARGS__}, sizeof((const size_t[]){__VA_ARGS__}) / sizeof(size_t)

static Config qk_norm(Config c) {
    c.qk_norm = true;
    return c;
}

static Config with(Config c, bool qkv, bool out, bool mlp) {
    c.qkv_bias = qkv, c.out_bias = out, c.mlp_bias = mlp;
    return c;
}

static void test_gpt2(void) {
    check_case("gpt2 tied", small_gpt2(19, 9, 12, 2, 3, 20, true), LENGTHS(9, 4, 1), 0, 3, false);
    check_case("gpt2 untied", small_gpt2(7, 5, 5, 2, 1, 3, false), LENGTHS(5, 5, 2, 1), 0, 1, false);
    check_case("gpt2 tied, micro-batches, recompute", small_gpt2(23, 8, 8, 2, 2, 17, true), LENGTHS(8, 3, 6, 8), 0, 1, true);
    check_case("gpt2 LoRA", small_gpt2(13, 7, 6, 2, 2, 9, true), LENGTHS(7, 2), 3, 2, false);
    check_case("gpt2 LoRA, micro-batches", small_gpt2(13, 7, 6, 1, 3, 9, false), LENGTHS(7, 2, 5), 2, 1, true);
}

static void test_llama(void) {
    check_case("llama tied", small_llama(19, 9, 12, 2, 3, 3, 4, 20, true), LENGTHS(9, 4, 1), 0, 3, false);
    check_case("llama untied", small_llama(7, 5, 5, 2, 1, 1, 2, 3, false), LENGTHS(5, 5, 2, 1), 0, 1, false);
    check_case("llama grouped heads", small_llama(11, 8, 8, 2, 4, 2, 2, 7, true), LENGTHS(8, 3), 0, 2, false);
    check_case("llama one KV head", small_llama(11, 8, 9, 2, 3, 1, 6, 5, false), LENGTHS(6, 8), 0, 1, false);
    check_case("llama qkv bias", with(small_llama(11, 6, 8, 2, 2, 1, 4, 7, true), true, false, false), LENGTHS(6, 3), 0, 2, false);
    check_case("llama out bias", with(small_llama(11, 6, 8, 1, 2, 1, 4, 7, true), false, true, false), LENGTHS(6, 3), 0, 2, false);
    check_case("llama mlp bias", with(small_llama(11, 6, 8, 1, 2, 1, 4, 7, false), false, false, true), LENGTHS(6, 3), 0, 2, false);
    check_case("llama all biases, recompute", with(small_llama(17, 9, 7, 2, 2, 2, 4, 11, true), true, true, true), LENGTHS(9, 1, 4, 6), 0,
               1, true);
    check_case("llama LoRA", small_llama(13, 7, 6, 2, 2, 1, 4, 9, true), LENGTHS(7, 2), 3, 2, false);
    check_case("llama LoRA, biases, micro-batches", with(small_llama(13, 7, 6, 1, 4, 2, 2, 5, false), true, true, true), LENGTHS(7, 2, 5),
               2, 1, true);
    check_case("q and k norms", qk_norm(small_llama(13, 8, 8, 2, 4, 2, 6, 7, true)), LENGTHS(8, 3), 0, 2, false);
    check_case("q and k norms, biases, one head, recompute", qk_norm(with(small_llama(13, 7, 6, 2, 1, 1, 18, 5, false), true, true, false)),
               LENGTHS(7, 2, 5), 0, 1, true);
    check_case("q and k norms, LoRA", qk_norm(small_llama(13, 7, 6, 2, 2, 1, 4, 9, true)), LENGTHS(7, 2), 3, 2, false);
    check_case("llama 40 tokens", small_llama(9, 40, 4, 1, 2, 1, 2, 3, true), LENGTHS(40, 33), 0, 1, false);
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
        for (size_t i = 0; i < count; i++)
            CHECK(!memcmp(kept[i], adapters[i]->g, param_size(adapters[i]) * sizeof(real)), "%s", adapters[i]->name);
    }
}

TESTS({"gpt2", test_gpt2}, {"llama", test_llama}, {"the checker sees", test_checker}, {"frozen base", test_frozen})
