/* Between two sets of weights: an adapter part of its way, interpolation, rounding to 16 bits, and how far two models are apart. */
#include "../merge.h"
#include "../weights.h"
#include "scratch.h"
#include "small_adapters.h"
#include "test.h"

static LoraOptions kind_options(const Model *m, int kind) {
    LoraOptions o = options("all-linear", 3);
    o.dora = kind & 2, o.rslora = kind & 4;
    lora_tokens(&o, m, (const int32_t[]){5, 6}, 2);
    return o;
}

static Model *moved(int kind) {
    random_draws = 40;
    Model *m = small_model(kind & 1 ? llama() : gpt2(), true);
    LoraOptions o = kind_options(m, kind);
    lora_attach(m, &o);
    move(m);
    return m;
}

/* The adapter itself goes a part of its way, and the weights it is merged into are that part from the base to the whole. */
static void test_scale(void) {
    const double parts[] = {0, 0.3, 1, 1.7, -0.5};
    for (int kind = 0; kind < 8; kind++) {
        Model *base = moved(kind), *whole = moved(kind);
        lora_merge(base, 0), lora_merge(whole, 1);
        for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
            Model *scaled = moved(kind), *merged = moved(kind);
            Batch b = keyed_batch(&scaled->config, 4);
            lora_scale(scaled, parts[i]), lora_merge(merged, parts[i]);
            Apart d = models_apart(scaled, merged, &b);
            CHECK(d.difference < 2e-5 * d.largest && d.tokens == b.tokens, "kind %d, part %g: %g of %g", kind, parts[i], d.difference, d.largest);
            double worst = 0;
            for (size_t j = 0; j < base->count; j++)
                for (size_t k = 0; k < param_size(base->params[j]); k++) {
                    double x = (double)param_real(base->params[j])[k], y = (double)param_real(whole->params[j])[k];
                    double e = x + parts[i] * (y - x) - (double)param_real(merged->params[j])[k];
                    if (!((e < 0 ? -e : e) <= worst)) worst = e < 0 ? -e : e;
                }
            CHECK(worst < 1e-6, "kind %d, part %g: a weight is off by %g", kind, parts[i], worst);
            model_free(scaled), model_free(merged), batch_free(&b);
        }
    }
    Model *m = moved(2); /* c = m/n: where 1-p + p c is 0 there is no such adapter */
    const Lora *a = &m->adapter->loras[0];
    ((real *)a->magnitude->w)[1] = a->norm[1] / 2;
    CHECK_FAILS(2, "row 1, vanishes", lora_scale(m, 2));
}

static void test_interpolate(void) {
    const double parts[] = {0, 0.25, 1, -1};
    for (int family = 0; family < 2; family++)
        for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
            Config c = family ? llama() : gpt2();
            random_draws = 1;
            Model *base = small_model(c, true), *tuned = small_model(c, true);
            random_draws = 1;
            Model *between = small_model(c, true);
            model_interpolate(between, tuned, parts[i], "base", "tuned");
            for (size_t j = 0; j < base->count; j++)
                for (size_t k = 0; k < param_size(base->params[j]); k++) {
                    double x = (double)param_real(base->params[j])[k], y = (double)param_real(tuned->params[j])[k];
                    CHECK(float_bits((float)param_real(between->params[j])[k]) == float_bits((float)(x + parts[i] * (y - x))));
                }
            if (i == 0) CHECK(!strcmp(weights_hash(between, false), weights_hash(base, false)), "0 is the base");
            if (i == 2) CHECK(!strcmp(weights_hash(between, false), weights_hash(tuned, false)), "1 is the tuned model");
        }
    Model *m = small_model(llama(), true);
    CHECK_FAILS(2, "not one architecture", model_interpolate(m, small_model(gpt2(), true), 1, "a", "b"));
    CHECK_FAILS(2, "embed_tokens.weight [23, 8], the second model.embed_tokens.weight [24, 8]",
                model_interpolate(m, small_model(small_llama(24, 12, 8, 2, 4, 2, 4, 12, true), true), 1, "a", "b"));
    CHECK_FAILS(2, "b has a tensor more than a: lm_head.weight",
                model_interpolate(m, small_model(small_llama(23, 12, 8, 2, 4, 2, 4, 12, false), true), 1, "a", "b"));
}

/* By hand: one logit moved by 3 changes the greatest difference, and the choice of just the tokens where it then leads. */
static void test_apart(void) {
    random_draws = 2;
    Model *a = small_model(small_llama(23, 12, 8, 2, 4, 2, 4, 12, false), true);
    random_draws = 2;
    Model *b = small_model(small_llama(23, 12, 8, 2, 4, 2, 4, 12, false), true);
    Batch batch = keyed_batch(&a->config, 5);
    Apart same = models_apart(a, b, &batch);
    CHECK(!(same.difference > 0) && same.agreed == same.tokens && same.tokens == batch.tokens && same.largest > 0);
    real *row = (real *)b->head.w->w + 7 * 8;
    for (int i = 0; i < 8; i++) row[i] += (real)0.5;
    real *x = logits_of(a, &batch), *y = logits_of(b, &batch);
    size_t agreed = 0;
    double difference = greatest_difference(x, y, batch.tokens * 23), largest = 0;
    for (size_t n = 0; n < batch.tokens; n++) {
        size_t best[2] = {0, 0};
        for (size_t i = 0; i < 23; i++) {
            if (x[n * 23 + i] > x[n * 23 + best[0]]) best[0] = i;
            if (y[n * 23 + i] > y[n * 23 + best[1]]) best[1] = i;
            double l = (double)x[n * 23 + i];
            if ((l < 0 ? -l : l) > largest) largest = l < 0 ? -l : l;
        }
        agreed += best[0] == best[1];
    }
    Apart d = models_apart(a, b, &batch);
    CHECK(double_bits(d.difference) == double_bits(difference) && double_bits(d.largest) == double_bits(largest));
    CHECK(d.agreed == agreed && agreed < batch.tokens && agreed > 0, "%zu, by hand %zu", d.agreed, agreed);
    row[0] = (real)bits_float(0x7FC00000u);
    d = models_apart(a, b, &batch);
    CHECK(!(d.difference <= 1e300), "what is not a number is no agreement");
}

/* Rounded once, held, written and read again as the same 16 bits, and the logits are those of the rounded weights. */
static void test_store(void) {
    for (int kind = 0; kind < 4; kind++) {
        const Stored as = kind & 2 ? STORED_F16 : STORED_BF16;
        random_draws = 3;
        Model *m = small_model(kind & 1 ? llama() : gpt2(), true);
        random_draws = 3;
        Model *exact = small_model(kind & 1 ? llama() : gpt2(), true);
        model_store(m, as);
        const char *dir = scratch("half");
        os_remove_tree(dir), os_make_dir(dir);
        model_save(m, dir);
        SafeTensors *s = st_open(dir);
        for (size_t i = 0; i < m->count; i++) {
            const Param *p = exact->params[i];
            const StTensor *t = st_find(s, p->name);
            CHECK(t && t->type == (as == STORED_F16 ? ST_F16 : ST_BF16) && t->bytes == 2 * param_size(p));
            for (size_t j = 0; t && j < param_size(p); j++) {
                float x = (float)param_real(p)[j];
                uint16_t half, expected = as == STORED_F16 ? f16_round(x) : bf16_round(x);
                memcpy(&half, t->data + 2 * j, 2);
                CHECK(half == expected, "%s", p->name);
                CHECK(float_bits((float)stored_value(m->params[i]->w, m->params[i]->stored, j)) ==
                      float_bits(as == STORED_F16 ? f16_widen(expected) : bf16_widen(expected)));
            }
        }
        Buf config = os_read(os_join(dir, "config.json"));
        CHECK(strstr(config.data, as == STORED_F16 ? "\"dtype\": \"float16\"" : "\"dtype\": \"bfloat16\""));
        Batch b = keyed_batch(&m->config, 5);
        Apart d = models_apart(m, model_load(dir, true), &b), widened = models_apart(m, model_load(dir, false), &b);
        CHECK(!(d.difference > 0) && !(widened.difference > 0), "read again, and widened: the same logits");
        d = models_apart(exact, m, &b);
        CHECK(d.difference > 0 && d.difference < 0.1 * d.largest);
        st_close(s);
    }
    Model *m = small_model(llama(), true);
    ((real *)m->tok->w)[3] = 65520;
    CHECK_FAILS(2, "embed_tokens.weight: element 3 is beyond the largest number of f16", model_store(m, STORED_F16));
    m = small_model(llama(), true);
    ((real *)m->norm_f.w->w)[2] = (real)bits_float(0x7f7fffffu);
    CHECK_FAILS(2, "norm.weight: element 2 is beyond the largest number of bf16", model_store(m, STORED_BF16));
}

TESTS({"an adapter part of its way", test_scale}, {"interpolation", test_interpolate}, {"how far apart", test_apart}, {"in 16 bits", test_store})
