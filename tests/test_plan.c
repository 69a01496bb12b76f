/* The plan's arithmetic: each part by its formula, an outline like the model itself, micro-batches walked, changes that help. */
#include "../lora.h"
#include "../plan.h"
#include "../weights.h"
#include "scratch.h"
#include "small_models.h"
#include "test.h"

enum { CTX = 16, ROWS = 7, BATCH = 4 };

static const size_t lengths[ROWS] = {3, 16, 5, 9, 1, 12, 7};
static size_t length_of(const void *self, size_t sample) { return ((const size_t *)self)[sample]; }

static Training training(Model *m, size_t micro) {
    Training t = {.stage = "test", .model = m, .batch = BATCH, .micro_batch = micro, .end = UINT64_MAX, .seed = 3, .eval_every = 2, .save_every = 2,
                  .optim = {.steps = 2}, .source = {.samples = ROWS, .longest = CTX, .self = lengths, .length = length_of}};
    t.tokens = training_most_tokens(&t);
    return t;
}

static Config gpt2(void) { return small_gpt2(50, CTX, 24, 3, 2, 40, true); }
static Config llama(void) { return small_llama(50, CTX, 24, 3, 4, 2, 6, 40, false); }

/* Numbers of all Params, and of those of one dimension. */
static size_t numbers(const Model *m, bool vectors, bool trained) {
    size_t n = 0;
    for (size_t i = 0; i < m->count; i++)
        if ((!vectors || m->params[i]->rank == 1) && !(trained && m->params[i]->frozen)) n += param_size(m->params[i]);
    return n;
}

static void check_parts(const char *what, Model *m, bool recompute) {
    Training t = training(m, 2);
    t.recompute = recompute;
    Memory p = plan_memory(&t);
    CHECK(p.weights == sizeof(real) * numbers(m, false, false), "%s: weights %zu", what, p.weights);
    CHECK(p.gradients == sizeof(real) * numbers(m, false, true) + 8 * numbers(m, true, true), "%s: gradients %zu", what, p.gradients);
    CHECK(p.moments == 2 * sizeof(real) * numbers(m, false, true), "%s: moments %zu", what, p.moments);
    CHECK(p.activations == pass_bytes(m, t.tokens, true, recompute), "%s: activations %zu", what, p.activations);
    CHECK(p.peak == p.weights + p.gradients + p.moments + p.activations + p.other, "%s: peak %zu", what, p.peak);
    /* what stands already is not counted twice */
    model_alloc_training(m, true);
    Memory after = plan_memory(&t);
    CHECK(after.peak >= p.peak && after.peak - p.peak < 20000, "%s: %zu before its gradients are there, %zu after", what, p.peak, after.peak);
}

static void test_parts(void) {
    for (int recompute = 0; recompute < 2; recompute++) {
        check_parts("gpt2", small_model(gpt2(), false), recompute);
        check_parts("llama", small_model(llama(), false), recompute);
        Model *m = small_model(llama(), false);
        LoraOptions o = {.rank = 3, .alpha = 6, .dora = true};
        lora_targets(&o, "all-linear");
        lora_attach(m, &o);
        size_t each = 3 * ((24 + 24) + 2 * (24 + 12) + (24 + 24) + 3 * (24 + 40)) + 24 + 12 + 12 + 24 + 40 + 40 + 24;
        CHECK(model_trainable(m) == 3 * each, "%zu trained", model_trainable(m));
        check_parts("adapter", m, recompute);
    }
}

/* The largest sum of lengths in any micro-batch, by the order itself. */
static void test_tokens(void) {
    Model *m = small_model(gpt2(), false);
    for (size_t micro = 1; micro <= BATCH; micro++) {
        Training t = training(m, micro);
        size_t most = CTX;
        t.shuffle = true, t.optim.steps = 5, t.end = 18;
        Order order = order_new(ROWS, t.seed, true);
        for (size_t step = 0; step < 5; step++)
            for (size_t at = 0; at < BATCH; at += micro) {
                size_t sum = 0;
                for (size_t i = at; i < at + micro && i < BATCH && step * BATCH + i < 18; i++) sum += lengths[order_sample(&order, step * BATCH + i)];
                if (sum > most) most = sum;
            }
        CHECK(training_most_tokens(&t) == most, "micro-batch %zu: %zu, not %zu", micro, training_most_tokens(&t), most);
    }
    Training t = training(m, 2);
    CHECK(t.tokens == 19, "3 + 16, in the file's order: %zu", t.tokens);
    t.source.length = NULL;
    CHECK(training_most_tokens(&t) == 0, "no lengths: not known");
    t.tokens = 0;
    CHECK(training_tokens(&t) == 2 * CTX, "then as many as may be: %zu", training_tokens(&t));
}

/* Of a folder the outline has the weights' size in each of their types; nothing else differs. */
static void test_outline(void) {
    static const Stored types[] = {STORED_REAL, STORED_F16, STORED_BF16};
    for (int i = 0; i < 6; i++) {
        bool keep = i & 1;
        Model *m = small_model(i < 3 ? gpt2() : llama(), false);
        if (types[i / 2] != STORED_REAL && sizeof(real) == sizeof(float)) model_store(m, types[i / 2]);
        const char *dir = scratch(i < 3 ? "gpt2" : "llama");
        os_make_dir(dir), model_save(m, dir);
        Model *whole = model_load(dir, keep), *outline = model_outline(dir, keep);
        Training a = training(whole, 2), b = training(outline, 2);
        Memory p = plan_memory(&a), q = plan_memory(&b);
        for (size_t k = 0; k < outline->count; k++)
            CHECK(!outline->params[k]->w && outline->params[k]->stored == whole->params[k]->stored, "%s", outline->params[k]->name);
        CHECK(p.weights == q.weights && p.gradients == q.gradients && p.moments == q.moments && p.activations == q.activations, "kind %d", i);
        if (keep && types[i / 2] != STORED_REAL) CHECK(p.weights < 3 * numbers(whole, false, false), "16 bits: %zu", p.weights);
        LoraOptions o = {.rank = 2, .alpha = 2, .dora = true};
        lora_targets(&o, "all-linear"), lora_tokens(&o, outline, (const int32_t[]){3, 5}, 2);
        lora_attach(outline, &o), lora_attach(whole, &o);
        p = plan_memory(&a), q = plan_memory(&b);
        CHECK(p.weights == q.weights && p.gradients == q.gradients && p.activations == q.activations, "adapter, kind %d", i);
    }
}

static void test_changes(void) {
    Model *m = small_model(llama(), false);
    const char *dir = scratch("changes");
    os_make_dir(dir), model_save(m, dir);
    Training t = training(m, 3);
    Change list[PLAN_CHANGES];
    Memory now = plan_memory(&t);
    size_t count = plan_changes(&t, dir, &now, list);
    CHECK(count >= 3, "%zu changes", count);
    for (size_t i = 0; i < count; i++) {
        Training with = t;
        bool one = strstr(list[i].flags, "--micro-batch 1"), again = strstr(list[i].flags, "--recompute");
        CHECK(list[i].memory.peak < now.peak, "%s", list[i].flags);
        if (one) with.micro_batch = 1;
        with.recompute = again, with.tokens = training_most_tokens(&with);
        if (!strstr(list[i].flags, "--lora")) CHECK(list[i].memory.activations == plan_memory(&with).activations, "%s", list[i].flags);
        else CHECK(list[i].memory.moments < now.moments && list[i].memory.weights > now.weights, "%s", list[i].flags);
    }
    plan_refuse(&t, dir, &now, now.peak), plan_refuse(&t, dir, &now, 0);
    CHECK_FAILS(EXIT_BAD_INPUT, "--micro-batch 1", plan_refuse(&t, dir, &now, now.peak - 1));
    CHECK_FAILS(EXIT_BAD_INPUT, "(fits)", plan_refuse(&t, dir, &now, now.peak - 1));
    CHECK_FAILS(EXIT_BAD_INPUT, "take a smaller model", plan_refuse(&t, dir, &now, 1000));
}

static void test_time(void) {
    Model *m = small_model(llama(), false);
    Training t = training(m, 2);
    size_t before = mem_in_use();
    double one = plan_step_seconds(&t, 0.001);
    CHECK(one > 0 && one < 60, "a step takes %g s", one);
    CHECK(mem_in_use() == before, "the sketch is gone");
    t.batch *= 1000;
    double many = plan_step_seconds(&t, 0.001);
    CHECK(many > 10 * one, "a thousand times the samples take more: %g s, one %g s", many, one);
    LoraOptions o = {.rank = 2, .alpha = 2};
    lora_targets(&o, "q_proj,down_proj"), lora_attach(m, &o);
    CHECK(plan_step_seconds(&t, 0.001) > 0);
    m = small_model(gpt2(), false);
    t.model = m;
    CHECK(plan_step_seconds(&t, 0.001) > 0);
}

static void test_disk(void) {
    Model *m = small_model(llama(), false);
    const char *dir = scratch("disk");
    os_make_dir(dir), model_save(m, dir);
    uint64_t there = os_tree_bytes(dir), planned = published_bytes(m, STORED_REAL);
    CHECK(there > 4 * numbers(m, false, false) && there <= planned && planned < there + 100000, "%llu bytes written, %llu planned",
          (unsigned long long)there, (unsigned long long)planned);
    uint64_t all = checkpoint_bytes(m), moments = 8 * numbers(m, false, false);
    CHECK(all > planned + moments && all < planned + moments + 100000);
    os_need_space(dir, 1, "x", "y"), os_need_space(scratch("not/yet/there"), 1, "x", "y");
    CHECK_FAILS(EXIT_BAD_INPUT, "make room", os_need_space(dir, UINT64_MAX - 1, "x", "make room"));
    CHECK(os_memory() > 1 << 20, "memory: %llu", (unsigned long long)os_memory());
}

TESTS({"parts", test_parts}, {"tokens", test_tokens}, {"outline", test_outline}, {"changes", test_changes}, {"time", test_time}, {"disk", test_disk})
