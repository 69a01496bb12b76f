/* Really trained weights against references that other programs computed: stories260K's loss, gradients and first updates in float64
 * (../shared/material/golden), and transformers' greedy text. */
#include "test.h"

#include "../gradcheck.h"
#include "../json.h"
#include "../optim.h"
#include "../os.h"
#include "../sample.h"
#include "../weights.h"

#define MATERIAL "../shared/material/"
static const char bin[] = MATERIAL "stories260K/stories260K.bin", folder[] = MATERIAL "stories260K/hf";
static const char golden[] = MATERIAL "golden/llama_stories260K.json", golden_grads[] = MATERIAL "golden/llama_stories260K_grads.f32";
static const char golden_ids[] = MATERIAL "golden/llama_stories260K_ids.i32";

enum { ROWS = 2, IDS = 65 };

static bool material_here(void) {
    if (os_exists(golden) && os_exists(bin)) return true;
    SKIP("no " MATERIAL "golden and stories260K beside the checkout");
    return false;
}

/* Two rows of 65 ids: inputs are the first 64, targets the last 64. */
static Batch golden_batch(void) {
    Buf file = os_read(golden_ids);
    Batch b = {0};
    int32_t ids[ROWS * IDS];
    CHECK(file.len == sizeof ids, "%zu bytes", file.len);
    memcpy(ids, file.data, sizeof ids);
    for (size_t i = 0; i < ROWS; i++) batch_add(&b, ids + i * IDS, ids + i * IDS + 1, NULL, IDS - 1);
    buf_free(&file);
    return b;
}

static double magnitude(double x) { return x < 0 ? -x : x; }

/* ---- gradients ---- */

/* Row r of a layer's q or k in the reference, where the two of a RoPE pair are neighbours; ours stand half a head apart. */
static size_t interleaved_row(size_t row, size_t head_dim) {
    size_t head = row / head_dim, d = row % head_dim, half = head_dim / 2;
    return head * head_dim + (d < half ? 2 * d : 2 * (d - half) + 1);
}

/* ‖ours - reference‖ / ‖reference‖ of one layer's tensor. */
static double difference(const Param *p, const float *reference, bool interleaved, size_t head_dim) {
    double error = 0, size = 0;
    size_t columns = p->rank == 1 ? 1 : p->shape[1];
    for (size_t r = 0; r < p->shape[0]; r++) {
        const float *row = reference + (interleaved ? interleaved_row(r, head_dim) : r) * columns;
        for (size_t i = 0; i < columns; i++) {
            double d = (double)p->g[r * columns + i] - (double)row[i];
            error += d * d, size += (double)row[i] * (double)row[i];
        }
    }
    CHECK(size > 0);
    return d_sqrt(error / size);
}

static const struct {
    const char *name;                 /* of ours; %zu: the layer */
    bool interleaved;
} order[] = {{"model.embed_tokens.weight", false},
             {"model.layers.%zu.input_layernorm.weight", false},
             {"model.layers.%zu.self_attn.q_proj.weight", true},
             {"model.layers.%zu.self_attn.k_proj.weight", true},
             {"model.layers.%zu.self_attn.v_proj.weight", false},
             {"model.layers.%zu.self_attn.o_proj.weight", false},
             {"model.layers.%zu.post_attention_layernorm.weight", false},
             {"model.layers.%zu.mlp.gate_proj.weight", false},
             {"model.layers.%zu.mlp.down_proj.weight", false},
             {"model.layers.%zu.mlp.up_proj.weight", false},
             {"model.norm.weight", false}};

/* The reference stacks the layers of each kind of tensor, in llama2.c's order. */
static double worst_difference(const Model *m, const float *reference, size_t *floats, size_t *tensors) {
    double worst = 0;
    *floats = *tensors = 0;
    for (size_t k = 0; k < sizeof order / sizeof *order; k++) {
        const char *percent = strchr(order[k].name, '%');
        for (size_t layer = 0; layer < (percent ? m->config.layers : 1); layer++) {
            char *name = percent ? str_format("%.*s%zu%s", (int)(percent - order[k].name), order[k].name, layer, percent + 3)
                                 : str_copy(order[k].name);
            const Param *p = model_find(m, name);
            CHECK(p, "%s", name);
            double d = difference(p, reference + *floats, order[k].interleaved, m->config.head_dim);
            CHECK(d <= 1e-5, "%s differs by %g", name, d);
            worst = d > worst ? d : worst;
            *floats += param_size(p), ++*tensors;
            mem_free(name);
        }
    }
    return worst;
}

static void check_gradients(const char *path, const JsonDoc *reference, const float *grads, size_t count) {
    Model *m = model_load(path, false);
    Batch b = golden_batch();
    model_alloc_training(m, false);
    Pass *p = pass_new(m, b.tokens, true, false);
    double loss = batch_gradients(m, p, &b, ROWS), norm = optim_grad_norm(m);
    const Json *root = json_root(reference);
    double true_loss = json_double(reference, root, "loss", 0), true_norm = json_double(reference, root, "global_grad_norm", 0);
    CHECK(true_loss > 1.6374545 && true_loss < 1.6374546);
    CHECK(magnitude(loss - true_loss) <= 1e-6, "loss %.9f", loss);
    CHECK(magnitude(norm / true_norm - 1) <= 1e-6, "gradient norm %.9f", norm);
    size_t floats, tensors;
    double worst = worst_difference(m, grads, &floats, &tensors);
    CHECK(floats == count && tensors == m->count);
    printf("%s: loss %.9f (%.1e off), gradient norm %.1e off, %zu gradients at most %.1e off\n", path, loss, loss - true_loss,
           norm / true_norm - 1, tensors, worst);
    pass_free(p), batch_free(&b), model_free(m);
}

static void test_gradients(void) {
    if (!material_here()) return;
    JsonDoc *reference = json_read(golden);
    Buf file = os_read(golden_grads);
    float *grads = mem_new(file.len, 1);
    memcpy(grads, file.data, file.len);
    check_gradients(bin, reference, grads, file.len / sizeof *grads);
    check_gradients(folder, reference, grads, file.len / sizeof *grads);
    mem_free(grads), buf_free(&file), json_free(reference);
}

/* ---- updates ---- */

static void test_updates(void) {
    if (!material_here()) return;
    JsonDoc *doc = json_read(golden);
    const Json *adamw = json_need(doc, json_root(doc), "adamw", JSON_OBJECT), *betas = json_need(doc, adamw, "betas", JSON_ARRAY);
    const Json *losses = json_need(doc, adamw, "losses_before_step_0_to_10", JSON_ARRAY);
    OptimOptions o = {.lr = json_double(doc, adamw, "lr", 0), .beta1 = betas->items[0].number, .beta2 = betas->items[1].number,
                      .eps = json_double(doc, adamw, "eps", 0), .clip = json_double(doc, adamw, "grad_clip", 0), .weight_decay = 0.1,
                      .schedule = SCHEDULE_CONSTANT, .steps = losses->count};
    Model *m = model_load(folder, false);
    Batch b = golden_batch();
    model_alloc_training(m, true);
    Pass *p = pass_new(m, b.tokens, true, false);
    CHECK(losses->count == 11 && o.lr > 0 && o.eps > 0 && o.clip > 0);
    double worst = 0;
    for (size_t t = 0; t < losses->count; t++) {
        double d = magnitude(batch_gradients(m, p, &b, 1) - losses->items[t].number);
        CHECK(d <= 1e-4, "the loss before update %zu is %g off", t, d);
        worst = d > worst ? d : worst;
        optim_update(m, &o, t, optim_grad_norm(m));
    }
    printf("AdamW: losses before %zu updates at most %.1e off\n", losses->count, worst);
    pass_free(p), batch_free(&b), model_free(m), json_free(doc);
}

/* ---- text ---- */

/* transformers 5 on the same weights: greedy from BOS alone (tests/compare/golden.py prints it). The two likeliest tokens are nowhere
 * closer than 0.004 in their logits. */
static const short greedy_ids[] = {
    403, 407, 261, 378, 432, 383, 286, 261, 376, 298, 315, 421, 395, 317, 426, 338, 401, 396, 267, 337, 410, 408, 419, 292, 411,
    322, 265, 282, 295, 433, 426, 385, 328, 432, 358, 394, 261, 370, 432, 352, 266, 268, 388, 426, 338, 391, 266, 267, 337, 335,
    312, 432, 398, 312, 286, 267, 414, 270, 333, 415, 426, 13, 438, 310, 439, 419, 357, 336, 432, 313, 438, 310, 432, 278, 316,
    439, 419, 298, 414, 267, 265, 282, 295, 433, 426, 436, 317, 286, 296, 418, 269, 279, 292, 416, 439, 413, 409, 416, 327, 263,
    415, 294, 267, 400, 426, 338, 336, 432, 313, 442, 391, 267, 337, 335, 364, 420, 268, 388, 432, 398, 359, 280, 303, 439, 413,
    272, 417, 264, 312, 426, 436, 13, 438, 310, 286, 296, 418, 269, 279, 292, 416, 439, 413, 409, 416, 327, 263, 415, 294, 267,
    400, 426, 338, 336, 432, 313, 442, 439, 423, 262, 304, 420, 422, 432, 317, 426, 359, 279, 292, 416, 439, 413, 409, 416, 327,
    263, 415, 294, 267, 400, 426, 436, 13, 438, 310, 279, 292, 416, 439, 413, 391, 267, 281, 421, 427, 311, 357, 432, 384, 358};

static void check_text(const char *path) {
    enum { COUNT = sizeof greedy_ids / sizeof *greedy_ids };
    Model *m = model_load(path, true);
    Tokenizer *tok = tokenizer_load(folder);
    GenerateOptions o = {.sample = {.temperature = 0, .top_p = 1, .repetition_penalty = 1}, .tokens = COUNT};
    Cache *cache = cache_new(m, COUNT + 1);
    Ids ids = {0};
    Buf text = {0};
    ids_push(&ids, m->config.bos);
    CHECK(COUNT == 200 && m->config.bos == 1);
    generate(m, tok, cache, &ids, &o, &text);
    CHECK(ids.count == COUNT + 1, "%s: %zu tokens", path, ids.count - 1);
    for (size_t i = 0; i < COUNT && i + 1 < ids.count; i++)
        CHECK(ids.data[i + 1] == greedy_ids[i], "%s: token %zu is %d", path, i, (int)ids.data[i + 1]);
    static const char beginning[] = "Once upon a time, there was a little girl named Lily. She loved to play outside in the park.";
    CHECK(text.data && str_starts(text.data, beginning), "%s: %s", path, text.data); /* no space in front */
    ids_free(&ids), buf_free(&text), cache_free(cache), tokenizer_free(tok), model_free(m);
}

static void test_text(void) {
    if (!material_here()) return;
    check_text(bin);
    check_text(folder);
}

/* Where the material is absent this alone runs: what reads the reference must not read a wrong row. */
static void test_rows_of_pairs(void) {
    static const size_t expected[] = {0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15};
    for (size_t i = 0; i < 16; i++) CHECK(interleaved_row(i, 8) == expected[i]);
}

TESTS({"rows of RoPE pairs", test_rows_of_pairs}, {"gradients of stories260K", test_gradients}, {"updates of stories260K", test_updates},
      {"greedy text of stories260K", test_text})
