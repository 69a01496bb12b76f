/* A step of LoRA (rank 16, all linear) beside a full step on the same model and tokens: time, and peak memory.
 *
 *     bench_lora [SHAPE [ROUNDS [TOKENS [lora|full|dora|dropout]]]]
 *
 * SHAPE: 260k, 7m, 30m, 124m (GPT-2). Times are medians of interleaved rounds. With a fourth word only that step is run, so that the peak
 * memory of the process is its own. */
#include "../gradcheck.h"
#include "../lora.h"
#include "../optim.h"
#include "../os.h"
#include "small_models.h"

#include <stdio.h>
#include <stdlib.h>

static const struct { const char *name; Config config; } shapes[] = {
    {"260k", {.family = FAMILY_LLAMA, .vocab = 512, .ctx = 512, .dim = 64, .layers = 5, .heads = 8, .kv_heads = 4, .head_dim = 8, .ffn = 172, .tied = true,
              .norm_eps = 1e-5, .rope_theta = 1e4, .init_std = 0.02}},
    {"7m", {.family = FAMILY_LLAMA, .vocab = 4096, .ctx = 512, .dim = 256, .layers = 8, .heads = 8, .kv_heads = 4, .head_dim = 32, .ffn = 704, .tied = true,
            .norm_eps = 1e-5, .rope_theta = 1e4, .init_std = 0.02}},
    {"30m", {.family = FAMILY_LLAMA, .vocab = 8192, .ctx = 512, .dim = 512, .layers = 8, .heads = 8, .kv_heads = 8, .head_dim = 64, .ffn = 1376, .tied = true,
             .norm_eps = 1e-5, .rope_theta = 1e4, .init_std = 0.02}},
    {"124m", {.family = FAMILY_GPT2, .vocab = 50257, .ctx = 1024, .dim = 768, .layers = 12, .heads = 12, .kv_heads = 12, .head_dim = 64, .ffn = 3072,
              .tied = true, .qkv_bias = true, .out_bias = true, .mlp_bias = true, .norm_eps = 1e-5, .init_std = 0.02}},
};

typedef struct {
    Model *m;
    Pass *pass;
    Batch batch;
    size_t done;
} Bench;

static Bench bench_of(const Config *c, const char *kind, size_t tokens) {
    Bench b = {.m = small_model(*c, false)};
    if (strcmp(kind, "full")) {
        LoraOptions o = {.rank = 16, .alpha = 32, .seed = 1, .dora = !strcmp(kind, "dora"), .dropout = strcmp(kind, "dropout") ? 0 : 0.05};
        lora_targets(&o, "all-linear");
        lora_attach(b.m, &o);
    }
    model_alloc_training(b.m, true);
    size_t segments = (tokens + 255) / 256, lengths[64];
    if (segments > 64) segments = 64;
    for (size_t i = 0; i < segments; i++) lengths[i] = tokens / segments;
    b.batch = random_batch(c, lengths, segments, false);
    batch_key(&b.batch, 0, 0);
    b.pass = pass_new(b.m, b.batch.tokens, true, false);
    return b;
}

static double step(Bench *b) {
    const OptimOptions o = {.lr = 1e-4, .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .clip = 1, .schedule = SCHEDULE_CONSTANT, .steps = 1000};
    double begin = os_seconds();
    batch_gradients(b->m, b->pass, &b->batch, b->batch.segment_count);
    optim_update(b->m, &o, b->done++, optim_grad_norm(b->m));
    return os_seconds() - begin;
}

static double median(double *x, size_t n) {
    for (size_t i = 1; i < n; i++)
        for (size_t j = i; j && x[j - 1] > x[j]; j--) {
            double t = x[j];
            x[j] = x[j - 1], x[j - 1] = t;
        }
    return n % 2 ? x[n / 2] : (x[n / 2 - 1] + x[n / 2]) / 2;
}

enum { MOST_ROUNDS = 99 };

static void compare(const Config *c, size_t rounds, size_t tokens) {
    const char *const kinds[] = {"full", "lora", "dropout", "dora"};
    Bench b[4];
    double times[4][MOST_ROUNDS], full = 0;
    for (int k = 0; k < 4; k++) b[k] = bench_of(c, kinds[k], tokens), step(&b[k]);
    for (size_t i = 0; i < rounds; i++)
        for (int k = 0; k < 4; k++) times[k][i] = step(&b[k]);
    for (int k = 0; k < 4; k++) {
        double t = median(times[k], rounds);
        if (!k) full = t;
        printf("%-8s %9.2f ms  %.3f of a full step, %zu trained of %zu\n", kinds[k], t * 1e3, t / full, model_trainable(b[k].m), model_parameters(b[k].m));
    }
}

int main(int argc, char **argv) {
    static Catch c;
    if (setjmp(catch_begin(&c)->jump)) return fprintf(stderr, "%s\n", c.text), c.code;
    const char *shape = argc > 1 ? argv[1] : "7m";
    size_t rounds = argc > 2 ? (size_t)atoi(argv[2]) : 7, tokens = argc > 3 ? (size_t)atoi(argv[3]) : 500;
    if (rounds > MOST_ROUNDS) rounds = MOST_ROUNDS;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        if (strcmp(shapes[i].name, shape)) continue;
        if (argc > 4) {
            Bench b = bench_of(&shapes[i].config, argv[4], tokens);
            double t = 0;
            for (size_t k = 0; k < rounds; k++) t = step(&b);
            printf("%s %s: peak memory %.1f MB, last step %.1f ms\n", shape, argv[4], (double)os_peak_memory() / 1e6, t * 1e3);
        } else compare(&shapes[i].config, rounds, tokens);
        return 0;
    }
    return fprintf(stderr, "no shape %s\n", shape), 2;
}
