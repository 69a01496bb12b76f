/* The speed of a training step: forward, loss, backward, gradient norm, clipping, AdamW on random tokens.
 *
 *     bench_step [ROUNDS [THREADS [FAMILY VOCAB LAYERS DIM HEADS KV_HEADS FFN BATCH LENGTH MICRO_BATCH]]]
 *
 * Without a shape: the 7M Llama. MICRO_BATCH 0: as many samples as `finetune pretrain` takes. Each figure is the median of the rounds,
 * beside the multiply-adds that the processor can do, measured again before every round. ROUNDS 0: one step for each line on standard
 * input, answered by its seconds and its loss (tests/compare/speed.py runs PyTorch's steps in between). */
#define _GNU_SOURCE
#include "../gradcheck.h"
#include "../optim.h"

#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    Config config;
    size_t batch, length, micro_batch;
} Shape;

/* Multiply-adds count as two; forward once, backward twice; of attention only what causality leaves; the embedding is a lookup. */
static double flops_of(const Model *m, const Shape *s) {
    const Config *c = &m->config;
    double tokens = (double)(s->batch * s->length), matrices = (double)(c->vocab * c->dim);
    for (size_t i = 0; i < m->count; i++) {
        const Param *p = m->params[i];
        if (p->rank == 2 && p != m->tok && p != m->pos && p != m->head.w) matrices += (double)param_size(p);
    }
    double attention = (double)(2 * c->layers * c->heads * c->head_dim) * ((double)s->length + 1) / 2;
    return 6 * tokens * (matrices + attention);
}

static Batch random_batch(const Shape *s) {
    Batch b = {0};
    int32_t *ids = mem_new(s->length + 1, sizeof *ids);
    for (size_t i = 0; i < s->batch; i++) {
        for (size_t t = 0; t <= s->length; t++) ids[t] = (int32_t)rng_below((uint32_t)s->config.vocab, 1, RNG_TEST, t, i);
        batch_add(&b, ids, ids + 1, NULL, s->length);
    }
    mem_free(ids);
    return b;
}

typedef struct {
    Model *model;
    Pass *pass;
    Batch batch;
    size_t micro_batch, done;
} Bench;

static double step(Bench *b, double *loss) {
    const OptimOptions o = {.lr = 1e-4, .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .weight_decay = 0.1, .clip = 1,
                            .schedule = SCHEDULE_CONSTANT, .steps = 1000};
    double begin = now();
    *loss = batch_gradients(b->model, b->pass, &b->batch, b->micro_batch);
    optim_update(b->model, &o, b->done++, optim_grad_norm(b->model));
    return now() - begin;
}

static void serve(Bench *b) {
    char line[16];
    double loss;
    while (fgets(line, sizeof line, stdin)) {
        double seconds = step(b, &loss);
        printf("%.6f %.6f\n", seconds, loss);
        fflush(stdout);
    }
}

static void measure(Bench *b, int rounds, int threads, double flops) {
    double seconds[101], share[101], loss, limit = 0;
    step(b, &loss); /* touches the memory */
    for (int i = 0; i < rounds; i++) {
        double now_possible = peak(threads);
        limit = now_possible > limit ? now_possible : limit;
        seconds[i] = step(b, &loss);
        share[i] = flops / seconds[i] * 1e-9 / now_possible;
    }
    ascending(seconds, rounds), ascending(share, rounds);
    int middle = rounds / 2, low = rounds / 4, high = rounds - 1 - rounds / 4;
    printf("a step: %.3f s (%.3f to %.3f), %.0f tokens/s, %.1f GFLOP/s\n", seconds[middle], seconds[low], seconds[high],
           (double)b->batch.tokens / seconds[middle], flops / seconds[middle] * 1e-9);
    printf("of the peak at that moment: %.0f %% (%.0f to %.0f %%); peak at most %.1f GFLOP/s\n", 100 * share[middle], 100 * share[low],
           100 * share[high], limit);
}

static size_t number(char **argv, int i) { return (size_t)strtoull(argv[i], NULL, 10); }

static Shape shape_of(int argc, char **argv) {
    static char *standard[] = {"llama", "4096", "6", "288", "6", "6", "768", "32", "256", "0"};
    if (argc > 3 && argc != 13) bad_input("a shape is FAMILY VOCAB LAYERS DIM HEADS KV_HEADS FFN BATCH LENGTH MICRO_BATCH");
    char **v = argc > 3 ? argv + 3 : standard;
    bool gpt2 = !strcmp(v[0], "gpt2");
    Shape s = {.config = {.family = gpt2 ? FAMILY_GPT2 : FAMILY_LLAMA, .vocab = number(v, 1), .layers = number(v, 2), .dim = number(v, 3),
                          .heads = number(v, 4), .kv_heads = number(v, 5), .ffn = number(v, 6), .tied = true, .norm_eps = 1e-5,
                          .rope_theta = 10000, .init_std = 0.02, .qkv_bias = gpt2, .out_bias = gpt2, .mlp_bias = gpt2},
               .batch = number(v, 7), .length = number(v, 8), .micro_batch = number(v, 9)};
    s.config.head_dim = s.config.heads ? s.config.dim / s.config.heads : 0;
    s.config.ctx = gpt2 && s.length < 1024 ? 1024 : s.length;
    if (!s.micro_batch) s.micro_batch = s.length < 2048 ? 2048 / s.length : 1;
    if (s.micro_batch > s.batch) s.micro_batch = s.batch;
    return s;
}

int main(int argc, char **argv) {
    Catch c;
    if (setjmp(catch_begin(&c)->jump)) return fprintf(stderr, "bench_step: %s\n", c.text), c.code;
    int rounds = argc > 1 ? atoi(argv[1]) : 7, threads = argc > 2 ? atoi(argv[2]) : thread_count();
    if (rounds < 0 || rounds > 101 || threads < 1 || threads > 1024) bad_input("ROUNDS go from 0 to 101, THREADS from 1 to 1024");
    thread_limit(threads);
    Shape s = shape_of(argc, argv);
    Bench b = {.model = model_new(&s.config, "bench_step"), .batch = random_batch(&s), .micro_batch = s.micro_batch};
    model_alloc_weights(b.model), model_alloc_training(b.model, true), model_init(b.model, 1);
    b.pass = pass_new(b.model, s.micro_batch * s.length, true, false);
    double flops = flops_of(b.model, &s);
    printf("%s, %d threads, %zu parameters, %zu x %zu tokens in micro-batches of %zu, %.1f GFLOP a step, peak %.1f GFLOP/s\n", TIER,
           threads, model_parameters(b.model), s.batch, s.length, s.micro_batch, flops * 1e-9, peak(threads));
    fflush(stdout);
    if (rounds) measure(&b, rounds, threads, flops);
    else serve(&b);
    return 0;
}
