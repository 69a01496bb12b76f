/* Adapters: what they compute and cost, what training may add to them, their way into the weights. */
#include "../parallel.h"
#include "small_adapters.h"
#include "test.h"

/* ---- at the start ---- */

static void test_start(void) {
    for (int family = 0; family < 2; family++) {
        for (int kind = 0; kind < 3; kind++) {
            Config c = family ? llama() : gpt2();
            Model *m = small_model(c, true);
            Batch b = keyed_batch(&c, 5);
            real *base = logits_of(m, &b);
            LoraOptions o = options("all-linear", 3);
            o.dora = kind == 1, o.rslora = kind == 2;
            lora_attach(m, &o);
            real *now = logits_of(m, &b);
            CHECK(same_values(base, now, b.tokens * c.vocab), "B = 0 is the base (family %d, kind %d)", family, kind);
            move(m);
            now = logits_of(m, &b);
            CHECK(greatest_difference(base, now, b.tokens * c.vocab) > 1e-3);
            adapter_enable(m, false);
            now = logits_of(m, &b);
            CHECK(!memcmp(base, now, b.tokens * c.vocab * sizeof *now), "off: the base to the bit");
            adapter_enable(m, true);
            real *on = logits_of(m, &b);
            CHECK(greatest_difference(base, on, b.tokens * c.vocab) > 1e-3);
            model_free(m);
        }
    }
}

/* A is uniform in ±1/sqrt(in), depends on seed and name alone; B is 0. */
static void test_init(void) {
    LoraOptions o = options("all-linear", 4), other = options("q_proj", 4);
    Model *a = adapted(llama(), &o), *b = adapted(llama(), &other);
    other.seed++;
    Model *c = adapted(llama(), &other);
    const char *name = "base_model.model.model.layers.1.self_attn.q_proj.lora_A.weight";
    const Param *x = model_find(a, name), *y = model_find(b, name), *z = model_find(c, name);
    CHECK(x && y && z);
    size_t bytes = param_size(x) * sizeof(real);
    CHECK(!memcmp(x->w, y->w, bytes), "the same, whatever else has an adapter");
    CHECK(memcmp(x->w, z->w, bytes) != 0, "another seed");
    double most = 0, bound = 1 / d_sqrt(8);
    for (size_t i = 0; i < param_size(x); i++) {
        double w = (double)param_real(x)[i];
        if (w > most) most = w;
        if (-w > most) most = -w;
    }
    CHECK(most <= bound && most > 0.8 * bound, "%f of %f", most, bound);
    for (size_t i = 0; i < a->count; i++)
        if (str_ends(a->params[i]->name, "lora_B.weight"))
            for (size_t j = 0; j < param_size(a->params[i]); j++) CHECK(float_bits((float)param_real(a->params[i])[j]) == 0);
}

/* ---- cost ---- */

static void test_counts(void) {
    LoraOptions o = options("all-linear", 3);
    Model *m = adapted(llama(), &o);
    /* r (in + out): q 8->16, k and v 8->8, o 16->8, gate and up 8->12, down 12->8; two layers */
    size_t formula = 2 * 3 * ((8 + 16) + 2 * (8 + 8) + (16 + 8) + 2 * (8 + 12) + (12 + 8)), bytes = mem_in_use();
    CHECK(model_trainable(m) == formula, "%zu, formula %zu", model_trainable(m), formula);
    model_alloc_training(m, true);
    CHECK(mem_in_use() - bytes >= 3 * formula * sizeof(real) && mem_in_use() - bytes < 3 * formula * sizeof(real) + m->count * 3 * 128,
          "gradient and two moments of just these: %zu bytes", mem_in_use() - bytes);
    for (size_t i = 0; i < m->count; i++) {
        const Param *p = m->params[i];
        CHECK((p->g != NULL) == p->adapter && (p->m != NULL) == p->adapter);
    }
    o = options("c_attn", 5);
    o.dora = true;
    lora_tokens(&o, m, (const int32_t[]){1, 2}, 2);
    m = adapted(gpt2(), &o);
    formula = 2 * (5 * (8 + 24) + 24) + 2 * 8;
    CHECK(model_trainable(m) == formula, "%zu, formula %zu", model_trainable(m), formula);
    m = small_model(llama(), false);
    size_t all = model_trainable(m);
    CHECK(all == model_parameters(m));
    o = options("q_proj", 1);
    lora_attach(m, &o);
    CHECK(model_parameters(m) == all, "an adapter's are not the model's");
}

static void test_untouched(void) {
    for (int family = 0; family < 2; family++) {
        for (int kind = 0; kind < 3; kind++) {
            LoraOptions o = options("all-linear", 2);
            o.dora = kind == 1, o.dropout = kind ? 0.2 : 0;
            Model *m = adapted(family ? llama() : gpt2(), &o);
            char *base = weights_hash(m, false), *adapter = weights_hash(m, true);
            model_alloc_training(m, true);
            double first = train(m, 1, 2, false), last = train(m, 15, 2, false);
            CHECK(last < first, "it learns: %f to %f", first, last);
            CHECK(!strcmp(base, weights_hash(m, false)), "not a bit of the base");
            CHECK(strcmp(adapter, weights_hash(m, true)) != 0);
        }
    }
}

/* ---- the same bits, however it is computed ---- */

static char *trained_hash(int kind, Config c, size_t samples, bool recompute) {
    LoraOptions o = options("all-linear", 3);
    o.dora = kind & 1, o.dropout = kind & 2 ? 0.3 : 0, o.rslora = kind == 2, o.plus = kind;
    random_draws = 1000;
    Model *m = small_model(c, true);
    if (kind) lora_tokens(&o, m, (const int32_t[]){3, 8}, 2);
    lora_attach(m, &o);
    model_alloc_training(m, true);
    train(m, 3, samples, recompute);
    char *hash = weights_hash(m, true);
    model_free(m);
    return hash;
}

static void test_splits(void) {
    for (int family = 0; family < 2; family++) {
        for (int kind = 0; kind < 4; kind++) {
            Config c = family ? llama() : gpt2();
            char *first = trained_hash(kind, c, 5, false);
            for (size_t samples = 1; samples <= 3; samples++) {
                CHECK(!strcmp(first, trained_hash(kind, c, samples, false)), "family %d kind %d, micro-batches of %zu", family, kind, samples);
                CHECK(!strcmp(first, trained_hash(kind, c, samples, true)), "family %d kind %d, recomputed", family, kind);
            }
        }
    }
}

/* Wide enough for every loop that shares out its work. */
static void test_threads(void) {
    const Config wide[] = {small_gpt2(23, 12, 64, 1, 2, 512, true), small_llama(23, 12, 64, 1, 2, 1, 256, 512, true)};
    int before = thread_count();
    for (int kind = 0; kind < 4; kind++) {
        for (int family = 0; family < 2; family++) {
            thread_limit(1);
            char *first = trained_hash(kind, wide[family], 5, false);
            for (int n = 2; n <= 7; n += 5) {
                thread_limit(n);
                CHECK(!strcmp(first, trained_hash(kind, wide[family], 5, false)), "family %d kind %d, %d threads", family, kind, n);
            }
        }
    }
    thread_limit(before);
}

/* A token at a time: the same bits as the forward pass. */
static void test_decoded(void) {
    for (int kind = 0; kind < 4; kind++) {
        LoraOptions o = options("all-linear", 3);
        o.dora = kind & 2, o.dropout = 0.5;
        Model *m = adapted(kind & 1 ? llama() : gpt2(), &o);
        move(m);
        size_t V = m->config.vocab;
        Batch b = keyed_batch(&m->config, 2);
        Cache *cache = cache_new(m, m->config.ctx);
        real *whole = logits_of(m, &b), *row = nan_reals(V);
        for (size_t t = 0; t < 12; t++) {
            model_decode(m, cache, b.ids + 7 + t, 1, false, row);
            CHECK(!memcmp(row, whole + (7 + t) * V, V * sizeof *row), "kind %d, token %zu", kind, t);
        }
        cache_free(cache);
    }
}

/* On a base held in 16 bits: the bits of the same base widened; merged too. */
static void test_16bit_base(void) {
    for (int kind = 0; kind < 4; kind++) {
        Model *both[2];
        real *logits[2];
        char *merged[2];
        for (int half = 0; half < 2; half++) {
            random_draws = 31;
            Model *m = both[half] = small_model(kind & 1 ? llama() : gpt2(), true);
            for (size_t i = 0; i < m->count; i++) {
                Param *p = m->params[i];
                if (p->rank == 1) continue;
                uint16_t *bits = mem_new(param_size(p), sizeof *bits);
                for (size_t j = 0; j < param_size(p); j++) {
                    bits[j] = bf16_round((float)param_real(p)[j]);
                    ((real *)p->w)[j] = (real)bf16_widen(bits[j]);
                }
                if (half) p->w = bits, p->stored = STORED_BF16;
            }
            LoraOptions o = options("all-linear", 2);
            o.dora = kind & 2;
            lora_tokens(&o, m, (const int32_t[]){1}, 1);
            lora_attach(m, &o);
            move(m);
            Batch b = keyed_batch(&m->config, 3);
            logits[half] = logits_of(m, &b);
            if (half) CHECK(!memcmp(logits[0], logits[1], b.tokens * m->config.vocab * sizeof **logits), "kind %d", kind);
            lora_merge(m, 1);
            for (size_t i = 0; i < m->count; i++) CHECK(m->params[i]->stored == STORED_REAL || m->params[i] == m->pos);
            if (m->pos) m->pos->w = small_model(gpt2(), false)->pos->w;
            merged[half] = weights_hash(m, false);
        }
        CHECK(!strcmp(merged[0], merged[1]), "kind %d", kind);
    }
}

static void test_philox_16(void) {
    const uint64_t places[][2] = {{0, 0}, {7, UINT64_MAX - 5}, {UINT64_MAX, 0xFFFFFFF8u}, {12345678901234u, 99}};
    for (size_t i = 0; i < 4; i++) {
        uint32_t many[4][16], one[4];
        philox_16(many, 9, 4 + (uint32_t)i, places[i][0], places[i][1]);
        for (uint64_t j = 0; j < 16; j++) {
            philox(one, 9, 4 + (uint32_t)i, places[i][0], places[i][1] + j);
            for (int w = 0; w < 4; w++) CHECK(many[w][j] == one[w]);
        }
    }
}

/* The mask: a share p is dropped, kept ones are times 1/(1-p); it hangs on step, seed, key and Linear, on nothing else. */
static void mask_of(real *y, const Linear *l, const uint64_t *keys, uint32_t seed, uint64_t step, size_t N) {
    size_t in = l->in;
    real *x = mem_new(N * in, sizeof *x);
    for (size_t i = 0; i < N * in; i++) x[i] = 1;
    Adapting t = {.uv = mem_new(2 * N * l->lora->rank, sizeof(real)), .x = nan_reals(N * in), .kept = mem_new(N * in, 1), .keys = keys};
    t.seed = seed, t.step = step;
    real *out = mem_new(N * l->out, sizeof *out);
    adapted_forward(out, l->out, x, in, l, N, &t);
    memcpy(y, t.x, N * in * sizeof *y);
}

static void test_dropout_mask(void) {
    enum { N = 200, IN = 37 };
    Config c = small_llama(11, 12, IN, 1, 1, 1, 4, 5, true);
    LoraOptions o = options("q_proj,k_proj", 2);
    o.dropout = 0.25;
    Model *m = adapted(c, &o);
    const Linear *q = &m->blocks[0].qkv[0], *k = &m->blocks[0].qkv[1];
    uint64_t keys[N];
    real *a = nan_reals(N * IN), *b = nan_reals(N * IN);
    for (size_t i = 0; i < N; i++) keys[i] = (uint64_t)7 << 32 | i;
    mask_of(a, q, keys, 5, 2, N);
    size_t kept = 0;
    for (size_t i = 0; i < N * IN; i++) {
        bool zero = float_bits((float)a[i]) == 0;
        CHECK(zero || float_bits((float)a[i]) == float_bits(1.0f / 0.75f));
        kept += !zero;
    }
    double share = (double)kept / (N * IN);
    CHECK(share > 0.73 && share < 0.77, "%f kept", share);
    mask_of(b, q, keys + 13, 5, 2, 50);
    CHECK(!memcmp(b, a + 13 * IN, 50 * IN * sizeof *a), "a token's mask is its own, wherever it stands");
    mask_of(b, q, keys, 6, 2, N);
    CHECK(memcmp(a, b, N * IN * sizeof *a) != 0, "seed");
    mask_of(b, q, keys, 5, 3, N);
    CHECK(memcmp(a, b, N * IN * sizeof *a) != 0, "step");
    mask_of(b, k, keys, 5, 2, N);
    CHECK(memcmp(a, b, N * IN * sizeof *a) != 0, "Linear");
    for (size_t i = 0; i < N; i++) keys[i] += (uint64_t)1 << 32;
    mask_of(b, q, keys, 5, 2, N);
    CHECK(memcmp(a, b, N * IN * sizeof *a) != 0, "sample");
    Batch batch = keyed_batch(&c, 3);
    move(m);
    Pass *p = pass_new(m, batch.tokens, true, false);
    double *losses = mem_new(batch.tokens, sizeof *losses), with = batch_loss(m, p, &batch, losses), again = batch_loss(m, p, &batch, losses);
    CHECK(double_bits(with) == double_bits(again));
    batch.step++;
    CHECK(double_bits(with) != double_bits(batch_loss(m, p, &batch, losses)), "the step decides");
    mem_free(batch.keys), batch.keys = NULL;
    double without = batch_loss(m, p, &batch, losses);
    Pass *plain = pass_new(m, batch.tokens, false, false);
    CHECK(double_bits(without) == double_bits(batch_loss(m, plain, &batch, losses)), "without keys there is none");
    CHECK(double_bits(without) != double_bits(with));
}

/* DoRA by its definition, with dropout, against the layer: y = m/n (x W' + s x'A'B') + b. */
static void test_dora_definition(void) {
    LoraOptions o = options("all-linear", 3);
    o.dora = true, o.dropout = 0.4;
    Config c = gpt2();
    Model *m = adapted(c, &o);
    move(m);
    for (int which = 0; which < 2; which++) {
        const Linear *l = which ? &m->blocks[1].down : &m->blocks[1].qkv[0];
        enum { N = 4 };
        const uint64_t keys[N] = {3, 4, 5, (uint64_t)9 << 32};
        size_t in = l->in, out = l->out, r = l->lora->rank;
        real *x = random_reals(N * in, 1), *y = nan_reals(N * out);
        Adapting t = {.uv = nan_reals(2 * N * r), .x = nan_reals(N * in), .kept = mem_new(N * in, 1), .keys = keys, .seed = 1, .step = 1};
        adapted_forward(y, out, x, in, l, N, &t);
        const real *w = param_real(l->w), *A = param_real(l->lora->a), *B = param_real(l->lora->b);
        const real *bias = param_real(l->b), *mag = param_real(l->lora->magnitude);
        double worst = 0;
        for (size_t i = 0; i < out; i++) {
            double squares = 0;
            for (size_t j = 0; j < in; j++) {
                double e = (double)w[j * out + i];
                for (size_t k = 0; k < r; k++) e += 2 * (double)B[i * r + k] * (double)A[k * in + j];
                squares += e * e;
            }
            for (size_t n = 0; n < N; n++) {
                double z = 0;
                for (size_t j = 0; j < in; j++) z += (double)x[n * in + j] * (double)w[j * out + i];
                for (size_t k = 0; k < r; k++) {
                    double u = 0;
                    for (size_t j = 0; j < in; j++) u += t.kept[n * in + j] ? (double)x[n * in + j] / 0.6 * (double)A[k * in + j] : 0;
                    z += 2 * u * (double)B[i * r + k];
                }
                double d = (double)mag[i] / d_sqrt(squares) * z + (double)bias[i] - (double)y[n * out + i];
                if (d < 0) d = -d;
                if (!(d <= worst)) worst = d;
            }
        }
        CHECK(worst < 1e-5, "%g", worst);
    }
}

/* ---- LoRA+ ---- */

static void test_lora_plus(void) {
    LoraOptions o = options("q_proj", 2), plus = options("q_proj", 2);
    plus.plus = 16;
    Model *a = adapted(llama(), &o), *b = adapted(llama(), &plus);
    OptimOptions adam = adamw();
    adam.weight_decay = 0;
    Model *both[] = {a, b};
    for (int i = 0; i < 2; i++) {
        model_alloc_training(both[i], true);
        for (size_t j = 0; j < a->count; j++) {
            Param *p = both[i]->params[j];
            for (size_t k = 0; p->g && k < param_size(p); k++) p->g[k] = 1;
        }
        adam.clip = 0;
        optim_update(both[i], &adam, 0, 1);
    }
    const char *A = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight";
    const char *B = "base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight";
    CHECK(!memcmp(model_find(a, A)->w, model_find(b, A)->w, param_size(model_find(a, A)) * sizeof(real)));
    double ratio = (double)param_real(model_find(b, B))[0] / (double)param_real(model_find(a, B))[0];
    CHECK(ratio > 15.999 && ratio < 16.001, "%f", ratio);
}

/* ---- freezing ---- */

static void test_freeze(void) {
    Model *m = small_model(llama(), true);
    model_freeze(m, "layers.0,embed_tokens");
    for (size_t i = 0; i < m->count; i++) {
        const char *n = m->params[i]->name;
        CHECK(m->params[i]->frozen == (strstr(n, "layers.0.") || strstr(n, "embed_tokens")), "%s", n);
    }
    m = small_model(gpt2(), true);
    model_freeze(m, "h.*.mlp.c_*,ln_f.bias");
    for (size_t i = 0; i < m->count; i++) {
        const char *n = m->params[i]->name;
        CHECK(m->params[i]->frozen == (strstr(n, ".mlp.c_") || strstr(n, "ln_f.bias")), "%s", n);
    }
    CHECK_FAILS(2, "\"h.7\" names no tensor", model_freeze(m, "h.7"));
    CHECK_FAILS(2, "head is the embedding", model_freeze(m, "lm_head"));
    CHECK_FAILS(2, "leaves nothing to train", model_freeze(m, "transformer"));
}

/* Whatever is frozen: the gradients of the rest are the bits they are without, micro-batches and recompute included. */
static void test_frozen_gradients(void) {
    const char *const cases[] = {"wte,wpe", "wte,wpe,h.0", "wte,wpe,h.0,h.1.ln_1", "wte,wpe,h.0,h.1.ln_1,c_attn",
                                 "wte,wpe,h.0,h.1.ln_1,c_attn,attn.c_proj", "wte,wpe,h.0,h.1.ln_1,c_attn,attn.c_proj,ln_2",
                                 "wte,wpe,h.0,h.1.ln_1,attn,ln_2,c_fc", "wte,wpe,h", "wte,wpe,h,ln_f", "wpe,ln_f,h.1", "h.1.mlp", "lm_head", "wte"};
    for (int recompute = 0; recompute < 2; recompute++) {
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            Config c = small_gpt2(23, 12, 8, 2, 2, 12, false);
            random_draws = 77;
            Model *whole = small_model(c, true);
            random_draws = 77;
            Model *part = small_model(c, true);
            model_freeze(part, cases[i]);
            model_alloc_training(whole, false), model_alloc_training(part, false);
            Batch b = keyed_batch(&c, 5);
            Pass *p = pass_new(whole, b.tokens, true, recompute), *q = pass_new(part, b.tokens, true, recompute);
            double x = batch_gradients(whole, p, &b, 2), y = batch_gradients(part, q, &b, 2);
            CHECK(double_bits(x) == double_bits(y));
            for (size_t j = 0; j < part->count; j++) {
                const Param *u = whole->params[j], *v = part->params[j];
                CHECK(!v->frozen == (v->g != NULL));
                if (v->g) CHECK(!memcmp(u->g, v->g, param_size(u) * sizeof(real)), "%s frozen: %s", cases[i], v->name);
            }
            CHECK(pass_bytes(part, 40, true, false) <= pass_bytes(whole, 40, true, false));
            pass_free(p), pass_free(q), batch_free(&b), model_free(whole), model_free(part);
        }
    }
}

/* ---- trained rows ---- */

/* Their gradient is that of the same rows of the whole matrix, to the bit; no other row moves. */
static void test_rows(void) {
    for (int kind = 0; kind < 4; kind++) {
        bool tied = kind & 1;
        Config c = kind & 2 ? small_llama(23, 12, 8, 2, 4, 2, 4, 12, tied) : small_gpt2(23, 12, 8, 2, 2, 12, tied);
        random_draws = 5;
        Model *whole = small_model(c, true);
        random_draws = 5;
        Model *part = small_model(c, true);
        LoraOptions o = options("all-linear", 2);
        const int32_t ids[] = {20, 3, 11, 22};
        lora_tokens(&o, part, ids, 4);
        lora_attach(part, &o);
        model_alloc_training(whole, false), model_alloc_training(part, true);
        Batch b = keyed_batch(&c, 5);
        mem_free(b.keys), b.keys = NULL;
        Pass *p = pass_new(whole, b.tokens, true, false), *q = pass_new(part, b.tokens, true, false);
        batch_gradients(part, q, &b, 2);
        for (size_t n = 0; n < b.segments[0].length; n++) b.targets[n] = -1; /* the first micro-batch teaches nothing, and begins the chains all the same */
        batch_gradients(whole, p, &b, 2), batch_gradients(part, q, &b, 1);
        const TrainedRows *all[] = {&part->tok_rows, &part->head_rows};
        for (int j = 0; j < (tied ? 1 : 2); j++) {
            const Param *of = j ? whole->head.w : whole->tok;
            CHECK(all[j]->count == 4 && all[j]->ids[0] == 3 && all[j]->ids[3] == 22);
            for (size_t k = 0; k < 4; k++)
                CHECK(!memcmp(all[j]->rows->g + k * 8, of->g + (size_t)all[j]->ids[k] * 8, 8 * sizeof(real)), "kind %d, %s, row %zu", kind, of->name, k);
        }
        real *before = mem_new(param_size(part->tok), sizeof *before);
        memcpy(before, part->tok->w, param_size(part->tok) * sizeof *before);
        OptimOptions adam = adamw();
        optim_update(part, &adam, 0, optim_grad_norm(part));
        for (size_t id = 0; id < c.vocab; id++) {
            bool same = !memcmp(before + id * 8, param_real(part->tok) + id * 8, 8 * sizeof *before);
            CHECK(same == (id != 3 && id != 11 && id != 20 && id != 22), "row %zu", id);
        }
        adapter_enable(part, false);
        CHECK(!memcmp(before, part->tok->w, param_size(part->tok) * sizeof *before), "off: the base's rows");
        pass_free(p), pass_free(q), batch_free(&b), model_free(whole), model_free(part);
    }
    Model *m = small_model(llama(), true);
    LoraOptions o = options("q_proj", 2);
    lora_tokens(&o, m, (const int32_t[]){23}, 1);
    CHECK_FAILS(2, "token 23", lora_attach(m, &o));
}

/* ---- merging ---- */

static void test_merge(void) {
    for (int kind = 0; kind < 4; kind++) {
        Config c = kind & 1 ? llama() : gpt2();
        for (int half = 0; half < 2; half++) {
            LoraOptions o = options("all-linear", 3);
            o.dora = kind & 2;
            Model *m = small_model(c, true);
            lora_tokens(&o, m, (const int32_t[]){5, 6}, 2);
            lora_attach(m, &o);
            move(m);
            Batch b = keyed_batch(&c, 5);
            size_t n = b.tokens * c.vocab;
            real *on = logits_of(m, &b), most = 0;
            for (size_t i = 0; i < n; i++) most = on[i] > most ? on[i] : most;
            adapter_enable(m, false);
            real *off = logits_of(m, &b);
            adapter_enable(m, true);
            lora_merge(m, half ? 0 : 1);
            real *merged = logits_of(m, &b);
            CHECK(!m->adapter && !m->blocks[0].down.lora && m->count == small_model(c, false)->count);
            if (half) CHECK(same_values(off, merged, n), "scale 0 is the base");
            else {
                double difference = greatest_difference(on, merged, n);
                CHECK(difference < 1e-5 * (double)most && greatest_difference(off, merged, n) > 1e-2, "%g of %g", difference, (double)most);
                printf("merge, %s%s: logits differ by %.1e of %.1f\n", kind & 1 ? "llama" : "gpt2", kind & 2 ? ", DoRA" : "", difference, (double)most);
            }
            for (size_t i = 0; i < m->count; i++) CHECK(!m->params[i]->frozen && !m->params[i]->adapter);
        }
    }
    /* part of the way: the weights lie between */
    LoraOptions o = options("q_proj", 2);
    for (int dora = 0; dora < 2; dora++) {
        o.dora = dora;
        real *w[3];
        for (int part = 0; part < 3; part++) {
            random_draws = 9;
            Model *m = adapted(llama(), &o);
            move(m);
            lora_merge(m, 0.5 * part);
            w[part] = m->blocks[0].qkv[0].w->w;
        }
        for (size_t i = 0; i < 16 * 8; i++) {
            double d = (double)w[0][i] + (double)w[2][i] - 2 * (double)w[1][i];
            CHECK(d < 1e-6 && d > -1e-6);
        }
    }
}

TESTS({"at the start it is the base", test_start}, {"A and B at the start", test_init}, {"counts by formula", test_counts},
      {"the base is untouched", test_untouched}, {"computed anyhow", test_splits}, {"threads", test_threads}, {"decoded", test_decoded},
      {"on a base in 16 bits", test_16bit_base}, {"sixteen counters", test_philox_16}, {"dropout's mask", test_dropout_mask},
      {"DoRA by its definition", test_dora_definition}, {"LoRA+", test_lora_plus}, {"freezing by name", test_freeze},
      {"gradients with frozen parts", test_frozen_gradients}, {"trained rows", test_rows},
      {"merging", test_merge})
