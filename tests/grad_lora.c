/* The gradients of whole models with adapters against five-point central differences, Param by Param, in double. */
#include "small_adapters.h"
#include "test.h"

#ifndef REAL_F64
#error "gradients are checked in double: build with -DREAL_F64"
#endif

enum { ELEMENTS = 10 };

typedef struct {
    const char *name;
    bool gpt2, tied, rslora, dora, tokens, recompute;
    double dropout;
    const char *targets;
    size_t samples;
} Case;

static const Case cases[] = {
    {.name = "llama LoRA", .targets = "all-linear", .samples = 5},
    {.name = "llama rsLoRA, some targets", .targets = "q_proj,v_proj,down_proj", .rslora = true, .tied = true, .samples = 2},
    {.name = "llama dropout", .targets = "all-linear", .dropout = 0.3, .samples = 1},
    {.name = "llama DoRA", .targets = "all-linear", .dora = true, .tied = true, .samples = 2},
    {.name = "llama DoRA, dropout, recompute", .targets = "k_proj,o_proj,up_proj", .dora = true, .dropout = 0.25, .recompute = true, .samples = 2},
    {.name = "llama trained rows", .targets = "o_proj", .tokens = true, .samples = 2},
    {.name = "llama trained rows, tied, DoRA", .targets = "gate_proj", .tokens = true, .tied = true, .dora = true, .samples = 1},
    {.name = "gpt2 c_attn", .gpt2 = true, .targets = "c_attn", .tied = true, .samples = 2},
    {.name = "gpt2 dropout, recompute", .gpt2 = true, .targets = "all-linear", .dropout = 0.5, .recompute = true, .samples = 3},
    {.name = "gpt2 DoRA, dropout, rows", .gpt2 = true, .targets = "all-linear", .dora = true, .dropout = 0.2, .tokens = true, .tied = true, .samples = 2},
};

static Model *model_of(const Case *k) {
    Config c = k->gpt2 ? small_gpt2(13, 12, 6, 2, 2, 9, k->tied) : small_llama(13, 12, 6, 2, 2, 1, 4, 9, k->tied);
    if (!k->gpt2) c.qkv_bias = c.mlp_bias = k->dora; /* DoRA's bias comes after its columns are scaled */
    Model *m = small_model(c, true);
    LoraOptions o = options(k->targets, 3);
    o.rslora = k->rslora, o.dora = k->dora, o.dropout = k->dropout;
    if (k->tokens) lora_tokens(&o, m, (const int32_t[]){2, 12, 7}, 3);
    lora_attach(m, &o);
    move(m);
    model_alloc_training(m, false);
    return m;
}

/* error NULL: checks; else the worst error is returned through it. */
static void check_case(const Case *k, double spoil, double *error) {
    Model *m = model_of(k);
    Batch b = keyed_batch(&m->config, 4);
    Pass *p = pass_new(m, b.tokens, true, k->recompute);
    double *losses = mem_new(b.tokens, sizeof *losses), worst = 0;
    double loss = batch_gradients(m, p, &b, k->samples), forward = batch_loss(m, p, &b, losses);
    size_t tensors = 0;
    CHECK(loss - forward < 1e-13 && forward - loss < 1e-13, "%s: %.17g, forward %.17g", k->name, loss, forward);
    for (size_t i = 0; i < m->count; i++) {
        Param *q = m->params[i];
        CHECK((q->g != NULL) == q->adapter, "%s: %s", k->name, q->name);
        if (!q->g) continue;
        for (size_t j = 0; j < param_size(q); j++) q->g[j] *= 1 + spoil;
        double e = gradcheck_param(m, p, &b, q, ELEMENTS, losses);
        CHECK(error || e < 1e-7, "%s: %s is off by %.2e", k->name, q->name, e);
        if (!(e <= worst)) worst = e;
        tensors++;
    }
    if (error) *error = worst;
    else printf("%-34s %3zu tensors %4zu tokens  %.1e\n", k->name, tensors, b.tokens, worst);
    pass_free(p), batch_free(&b), mem_free(losses), model_free(m);
}

static void test_gradients(void) {
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) check_case(&cases[i], 0, NULL);
}

/* The checker is not blind. */
static void test_checker(void) {
    double error;
    check_case(&cases[2], 1e-5, &error);
    CHECK(error > 0.9e-5 && error < 1.1e-5, "%g", error);
}

TESTS({"gradients", test_gradients}, {"the checker sees", test_checker})
