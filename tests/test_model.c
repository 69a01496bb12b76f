/* Both models: decoding is the training forward pass, cuts and threads cannot be seen, and they learn. Gradients: grad_model.c. */
#include "../optim.h"
#include "../parallel.h"
#include "small_models.h"
#include "test.h"

#include <math.h>

enum { MOST_ADAPTERS = 64 };

/* Fork by fork, with odd sizes; `i` up to FORKS. */
enum { FORKS = 7 };
static Config fork_config(int i, size_t ctx) {
    Config c;
    switch (i) {
    case 0: return small_gpt2(51, ctx, 24, 2, 3, 40, true);
    case 1: return small_gpt2(19, ctx, 7, 1, 1, 33, false);
    case 2: return small_llama(51, ctx, 24, 2, 4, 2, 6, 40, true);
    case 3: return small_llama(19, ctx, 9, 1, 3, 1, 34, 17, false);
    case 4:
        c = small_llama(37, ctx, 20, 2, 5, 5, 4, 21, true);
        c.qkv_bias = true;
        return c;
    case 5:
        c = small_llama(37, ctx, 18, 2, 6, 2, 10, 16, true);
        c.qk_norm = true;
        return c;
    default:
        c = small_llama(37, ctx, 18, 2, 6, 2, 8, 16, false);
        c.qkv_bias = c.out_bias = c.mlp_bias = true;
        c.rope_kind = ROPE_LLAMA3, c.rope_factor = 8, c.rope_low = 1, c.rope_high = 4, c.rope_original_ctx = 32;
        return c;
    }
}

static real *forward_logits(const Model *m, const Batch *b) {
    Pass *p = pass_new(m, b->tokens, false, false);
    real *logits = nan_reals(b->tokens * m->config.vocab);
    model_forward(m, p, b);
    model_logits(m, p, 0, b->tokens, logits);
    pass_free(p);
    return logits;
}

/* ---- the registry ---- */

static size_t formula(const Config *c) {
    size_t C = c->dim, V = c->vocab, F = c->ffn, L = c->layers, Q = c->heads * c->head_dim, K = c->kv_heads * c->head_dim;
    size_t head = c->tied ? 0 : V * C;
    size_t gpt2_block = 4 * C + (C * 3 * C + 3 * C) + (C * C + C) + (C * F + F) + (F * C + C);
    if (c->family == FAMILY_GPT2) return V * C + c->ctx * C + L * gpt2_block + 2 * C + head;
    size_t biases = (c->qkv_bias ? Q + 2 * K : 0) + (c->out_bias ? C : 0) + (c->mlp_bias ? 2 * F + C : 0);
    return V * C + L * (2 * C + C * Q + 2 * C * K + Q * C + 3 * C * F + biases + (c->qk_norm ? 2 * c->head_dim : 0)) + C + head;
}

static void test_registry(void) {
    static const char *const gpt2[] = {
        "transformer.wte.weight", "transformer.wpe.weight",
        "transformer.h.0.ln_1.weight", "transformer.h.0.ln_1.bias", "transformer.h.0.attn.c_attn.weight", "transformer.h.0.attn.c_attn.bias",
        "transformer.h.0.attn.c_proj.weight", "transformer.h.0.attn.c_proj.bias",
        "transformer.h.0.ln_2.weight", "transformer.h.0.ln_2.bias", "transformer.h.0.mlp.c_fc.weight", "transformer.h.0.mlp.c_fc.bias",
        "transformer.h.0.mlp.c_proj.weight", "transformer.h.0.mlp.c_proj.bias",
        "transformer.ln_f.weight", "transformer.ln_f.bias", "lm_head.weight"};
    static const char *const llama[] = {
        "embed_tokens.weight", "layers.0.input_layernorm.weight", "layers.0.self_attn.q_proj.weight", "layers.0.self_attn.k_proj.weight",
        "layers.0.self_attn.v_proj.weight", "layers.0.self_attn.o_proj.weight", "layers.0.post_attention_layernorm.weight",
        "layers.0.mlp.gate_proj.weight", "layers.0.mlp.up_proj.weight", "layers.0.mlp.down_proj.weight", "norm.weight"};
    Config c = small_llama(5, 4, 4, 1, 2, 1, 2, 3, true);
    c.bare_names = true;
    Config configs[2] = {small_gpt2(5, 4, 4, 1, 2, 3, false), c};
    for (int k = 0; k < 2; k++) {
        Model *m = model_new(&configs[k], "test");
        size_t expected = k ? sizeof llama / sizeof *llama : sizeof gpt2 / sizeof *gpt2;
        CHECK(m->count == expected);
        for (size_t i = 0; i < m->count && i < expected; i++) {
            const Param *p = m->params[i];
            CHECK(!strcmp(p->name, k ? llama[i] : gpt2[i]), "%s", p->name);
            CHECK(p->decay == (p->rank == 2) && model_find(m, p->name) == p);
            bool matrix_of_gpt2 = !k && p->rank == 2 && strstr(p->name, ".c_");
            CHECK(p->conv1d == matrix_of_gpt2, "%s", p->name);
        }
        CHECK(!model_find(m, "nothing.weight"));
        model_free(m);
    }
    for (int i = 0; i < FORKS; i++) {
        c = fork_config(i, 13);
        Model *m = model_new(&c, "test");
        CHECK(model_parameters(m) == formula(&c), "fork %d: %zu parameters, by formula %zu", i, model_parameters(m), formula(&c));
        model_free(m);
    }
}

static void refuse(Config c, const char *words) { CHECK_FAILS(2, words, model_new(&c, "a/config.json")); }

static void test_refusals(void) {
    Config c = small_llama(5, 4, 4, 1, 3, 2, 2, 3, true);
    refuse(c, "a/config.json: 3 heads cannot share 2 key-value heads");
    refuse(small_llama(5, 4, 4, 1, 2, 1, 3, 3, true), "must be even, found 3");
    refuse(small_llama(0, 4, 4, 1, 2, 1, 2, 3, true), "vocabulary is 0");
    refuse(small_llama(5, 4, 4, 0, 2, 1, 2, 3, true), "layers is 0");
    refuse(small_llama(5, 4, 70000, 1, 2, 1, 2, 3, true), "dim is 70000; it must lie between 1 and 65536");
    refuse(small_llama(5, 1 << 20, 4, 1, 2, 1, 130, 3, true), "RoPE's table of 1048576 positions x 130 would take more than 512 MB");
    c = small_gpt2(5, 4, 4, 1, 2, 3, true);
    c.kv_heads = 1;
    refuse(c, "GPT-2 has one key-value head a head");
    c = small_gpt2(5, 4, 4, 1, 2, 3, true);
    c.norm_eps = 0;
    refuse(c, "epsilon");
}

/* ---- initialisation ---- */

static void test_init(void) {
    Config small = small_llama(300, 8, 32, 2, 4, 2, 8, 64, true), other = small;
    other.vocab = 200, other.tied = false;
    Model *a = small_model(small, false), *b = small_model(other, false), *c = small_model(small, false);
    model_init(c, 2);
    for (size_t i = 0; i < a->count; i++) {
        const Param *p = a->params[i], *q = model_find(b, p->name);
        size_t shared = param_size(p) < param_size(q) ? param_size(p) : param_size(q);
        CHECK(!memcmp(p->w, q->w, shared * sizeof(real)), "%s is a function of seed, name and place", p->name);
        const real *w = param_real(p);
        double sum = 0, squares = 0, n = (double)param_size(p);
        for (size_t j = 0; j < param_size(p); j++) sum += (double)w[j], squares += (double)w[j] * (double)w[j];
        if (p->rank == 1) {
            CHECK(sum == n && squares == n, "gains begin at 1");
            continue;
        }
        double std = strstr(p->name, "down_proj") ? 0.02 / 2 : strstr(p->name, "o_proj") ? 1.4 * 0.02 : 0.02; /* 0.02 / sqrt(2 layers) */
        CHECK(fabs(sum / n) < 4 * std / sqrt(n), "%s: mean %g", p->name, sum / n);
        CHECK(fabs(sqrt(squares / n) / std - 1) < 4 / sqrt(2 * n), "%s: deviation %g of %g", p->name, sqrt(squares / n), std);
        CHECK(memcmp(p->w, c->params[i]->w, param_size(p) * sizeof(real)), "%s: another seed", p->name);
    }
    Model *g = small_model(small_gpt2(30, 8, 8, 1, 2, 16, false), false);
    for (size_t i = 0; i < g->count; i++)
        for (size_t j = 0; str_ends(g->params[i]->name, ".bias") && j < param_size(g->params[i]); j++)
            CHECK(param_real(g->params[i])[j] == 0);

    /* attention begins as a copier: [o, i] of GPT-2's Conv1D matrices stands at i x columns + o */
    const real *q = param_real(model_find(a, "model.layers.1.self_attn.q_proj.weight"));
    const real *k = param_real(model_find(a, "model.layers.1.self_attn.k_proj.weight"));
    const real *v = param_real(model_find(a, "model.layers.1.self_attn.v_proj.weight"));
    const real *o = param_real(model_find(a, "model.layers.1.self_attn.o_proj.weight"));
    const real *fused = param_real(model_find(g, "transformer.h.0.attn.c_attn.weight"));
    const real *proj = param_real(model_find(g, "transformer.h.0.attn.c_proj.weight"));
    for (size_t i = 0; i < 32; i++)
        for (size_t j = 0; j < 32; j++) {
            size_t shared = i / 16 * 8 + i % 8; /* four heads of 8, two key-value heads */
            CHECK(o[j * 32 + i] == (real)(1.4f * (float)v[shared * 32 + j]));
            if (i < 16) CHECK(k[i * 32 + j] == q[(i / 8 * 16 + i % 8) * 32 + j]);
            if (i >= 8 || j >= 8) continue;
            CHECK(proj[i * 8 + j] == (real)(1.4f * (float)fused[j * 24 + 16 + i]));
            CHECK(fused[j * 24 + 8 + i] == fused[j * 24 + i]);
        }
}

static void test_initial_loss(void) {
    for (int family = 0; family < 2; family++) {
        Model *m = small_model(family ? small_llama(500, 16, 32, 2, 4, 2, 8, 64, true) : small_gpt2(500, 16, 32, 2, 4, 64, true), false);
        Batch b = random_batch(&m->config, (size_t[]){16, 16, 16, 16}, 4, false);
        Pass *p = pass_new(m, b.tokens, false, false);
        double *losses = mem_new(b.tokens, sizeof *losses), loss = batch_loss(m, p, &b, losses);
        CHECK(fabs(loss - log(500)) < 0.1, "family %d: %.3f, log V is %.3f", family, loss, log(500));
    }
}

/* ---- decoding ---- */

static void check_decoding(Model *m, const char *name) {
    static const size_t chunks[] = {1, 3, 64, 150};
    size_t V = m->config.vocab, n = 150;
    Batch b = random_batch(&m->config, (size_t[]){21, n, 5}, 3, false); /* the document is the second of its row */
    real *logits = forward_logits(m, &b), *first = logits + 21 * V, *decoded = nan_reals(n * V);
    const int32_t *ids = b.ids + 21;
    CHECK(all_finite(logits, b.tokens * V));
    Cache *c = cache_new(m, n);
    for (size_t i = 0; i < sizeof chunks / sizeof *chunks; i++) {
        cache_clear(c);
        nan_fill(decoded, n * V);
        for (size_t t = 0; t < n; t += chunks[i]) {
            size_t some = n - t < chunks[i] ? n - t : chunks[i];
            CHECK(cache_length(c) == t);
            model_decode(m, c, ids + t, some, true, decoded + t * V);
        }
        CHECK(!memcmp(decoded, first, n * V * sizeof *decoded), "%s: in pieces of %zu", name, chunks[i]);
    }
    cache_clear(c);
    nan_fill(decoded, V);
    model_decode(m, c, ids, 140, false, decoded); /* a prompt: the last logits alone */
    CHECK(!memcmp(decoded, first + 139 * V, V * sizeof *decoded), "%s: the last of a prompt", name);
    model_decode(m, c, ids + 140, 1, false, decoded);
    CHECK(!memcmp(decoded, first + 140 * V, V * sizeof *decoded), "%s: and one more", name);
    cache_free(c), batch_free(&b), mem_free(logits), mem_free(decoded);
}

static void test_decoding(void) {
    for (int i = 0; i < FORKS; i++) {
        Model *m = small_model(fork_config(i, 160), true);
        char name[32];
        snprintf(name, sizeof name, "fork %d", i);
        check_decoding(m, name);
        Param *adapters[MOST_ADAPTERS];
        attach_adapters(m, 3, adapters, false);
        snprintf(name, sizeof name, "fork %d with adapters", i);
        check_decoding(m, name);
    }
}

/* Logits of a document do not depend on what else is in the batch, nor on how many rows the pass has room for. */
static void test_company(void) {
    for (int i = 0; i < FORKS; i++) {
        Model *m = small_model(fork_config(i, 40), true);
        size_t V = m->config.vocab, lengths[] = {40, 1, 33, 7};
        Batch b = random_batch(&m->config, lengths, 4, false);
        real *together = forward_logits(m, &b);
        for (size_t s = 0; s < 4; s++) {
            Batch alone = {0};
            batch_add(&alone, b.ids + b.segments[s].row, b.targets + b.segments[s].row, NULL, lengths[s]);
            real *logits = forward_logits(m, &alone);
            CHECK(!memcmp(logits, together + b.segments[s].row * V, lengths[s] * V * sizeof *logits), "fork %d, document %zu", i, s);
        }
    }
}

static void test_causality(void) {
    for (int i = 0; i < FORKS; i++) {
        Model *m = small_model(fork_config(i, 40), true);
        size_t V = m->config.vocab, lengths[] = {12, 40}, start = 12;
        Batch b = random_batch(&m->config, lengths, 2, false);
        real *before = forward_logits(m, &b);
        for (size_t t = 0; t < 40; t += 13) {
            size_t same = 0, at = start + t;
            int32_t kept = b.ids[at];
            b.ids[at] = (kept + 1) % (int32_t)V;
            real *after = forward_logits(m, &b);
            CHECK(!memcmp(before, after, at * V * sizeof *before), "fork %d: token %zu changed what stands before it", i, t);
            for (size_t j = at; j < b.tokens; j++) same += !memcmp(before + j * V, after + j * V, V * sizeof *before);
            CHECK(!same, "fork %d: %zu later tokens do not see token %zu", i, same, t);
            b.ids[at] = kept;
            mem_free(after);
        }
    }
}

/* ---- weights held in 16 bits ---- */

static void test_16_bits(void) {
    for (int i = 0; i < FORKS; i++) {
        for (Stored stored = STORED_F16; stored <= STORED_BF16; stored++) {
            Model *m = small_model(fork_config(i, 20), true);
            uint16_t **half = mem_new(m->count, sizeof *half);
            for (size_t k = 0; k < m->count; k++) {
                Param *p = m->params[k];
                real *w = p->w;
                if (p->rank == 1) continue;
                half[k] = mem_new(param_size(p), sizeof **half);
                for (size_t j = 0; j < param_size(p); j++) {
                    half[k][j] = stored == STORED_F16 ? f16_round((float)w[j]) : bf16_round((float)w[j]);
                    w[j] = (real)(stored == STORED_F16 ? f16_widen(half[k][j]) : bf16_widen(half[k][j]));
                }
            }
            Batch b = random_batch(&m->config, (size_t[]){20, 3}, 2, false);
            real *wide = forward_logits(m, &b);
            for (size_t k = 0; k < m->count; k++)
                if (half[k]) m->params[k]->w = half[k], m->params[k]->stored = stored;
            real *narrow = forward_logits(m, &b);
            CHECK(!memcmp(wide, narrow, b.tokens * m->config.vocab * sizeof *wide), "fork %d, type %d", i, (int)stored);
        }
    }
}

/* ---- gradients: cuts, recomputation, threads ---- */

/* Gradients and loss into one block. */
static real *all_gradients(Model *m, Param **adapters, size_t adapter_count, const Batch *b, size_t samples, bool recompute, double *loss,
                           size_t *size) {
    size_t n = 0, at = 0;
    for (size_t i = 0; i < m->count; i++) n += param_size(m->params[i]);
    for (size_t i = 0; i < adapter_count; i++) n += param_size(adapters[i]);
    for (size_t i = 0; i < m->count; i++) nan_fill(m->params[i]->g, param_size(m->params[i]));
    for (size_t i = 0; i < adapter_count; i++) nan_fill(adapters[i]->g, param_size(adapters[i]));
    Pass *p = pass_new(m, b->tokens, true, recompute);
    *loss = batch_gradients(m, p, b, samples);
    pass_free(p);
    real *all = mem_new(n, sizeof *all);
    for (size_t i = 0; i < m->count + adapter_count; i++) {
        const Param *q = i < m->count ? m->params[i] : adapters[i - m->count];
        memcpy(all + at, q->g, param_size(q) * sizeof *all), at += param_size(q);
    }
    *size = n;
    return all;
}

static void check_cuts(Config c, bool with_adapters) {
    static const size_t lengths[] = {40, 33, 1, 40, 7, 32, 40, 40}, cuts[] = {8, 4, 1}, threads[] = {1, 2, 3, 7};
    Model *m = small_model(c, true);
    Param *adapters[MOST_ADAPTERS];
    size_t adapter_count = with_adapters ? attach_adapters(m, 3, adapters, false) : 0, size = 0;
    int before = thread_count();
    model_alloc_training(m, false);
    Batch b = random_batch(&c, lengths, 8, true);
    for (size_t t = 0; t < lengths[0]; t++) b.weights[t] = 0; /* the first micro-batch has nothing to learn from */
    real *first = NULL;
    double first_loss = 0;
    for (size_t k = 0; k < 4; k++) {
        thread_limit((int)threads[k]);
        for (size_t j = 0; j < 3; j++) {
            for (int recompute = 0; recompute < 2; recompute++) {
                double loss;
                if (k && (j || recompute) && (k > 1 || j != 1 || !recompute)) continue; /* many threads on few cores are slow */
                real *g = all_gradients(m, adapters, adapter_count, &b, cuts[j], recompute, &loss, &size);
                if (!first) first = g, first_loss = loss;
                CHECK(loss == first_loss && !memcmp(g, first, size * sizeof *g),
                      "family %d, %zu threads, %zu samples at once, recompute %d", (int)c.family,
                      threads[k], cuts[j], recompute);
                if (g != first) mem_free(g);
            }
        }
    }
    thread_limit(before);
    CHECK(all_finite(first, size));
}

static void test_cuts(void) {
    /* wide enough for every loop to be shared out */
    check_cuts(small_gpt2(70, 40, 80, 2, 4, 96, true), false);
    check_cuts(small_llama(70, 40, 80, 2, 4, 2, 20, 96, true), false);
    check_cuts(small_llama(70, 40, 80, 1, 4, 1, 20, 96, false), true);
}

/* Tokens of weight 0 are as tokens without a target; rows of the embedding that do not occur have no gradient. */
static void test_weights_of_nothing(void) {
    for (int i = 0; i < FORKS; i++) {
        Config c = fork_config(i, 20);
        Model *m = small_model(c, true);
        model_alloc_training(m, false);
        Batch b = random_batch(&c, (size_t[]){20, 11}, 2, false);
        size_t size;
        double loss[2];
        for (size_t t = 0; t < b.tokens; t += 3) b.weights[t] = 0;
        real *zero = all_gradients(m, NULL, 0, &b, 2, false, &loss[0], &size);
        for (size_t t = 0; t < b.tokens; t += 3) b.weights[t] = 1, b.targets[t] = -1;
        real *without = all_gradients(m, NULL, 0, &b, 2, false, &loss[1], &size);
        CHECK(loss[0] == loss[1] && !memcmp(zero, without, size * sizeof *zero), "fork %d", i);
        for (size_t id = 0; !c.tied && id < c.vocab; id++) {
            bool occurs = false, supervised = false, nothing = true;
            for (size_t t = 0; t < b.tokens; t++)
                if (b.ids[t] == (int32_t)id) occurs = true, supervised |= b.targets[t] >= 0;
            for (size_t j = 0; j < c.dim; j++) nothing &= m->tok->g[id * c.dim + j] == 0;
            CHECK(occurs ? !supervised || !nothing : nothing, "fork %d, id %zu", i, id);
        }
    }
}

/* B = 0 leaves the base as it is; its A then has no gradient, its B has. */
static void test_adapter_of_nothing(void) {
    for (int i = 0; i < FORKS; i++) {
        Model *m = small_model(fork_config(i, 20), true);
        Param *adapters[MOST_ADAPTERS];
        Batch b = random_batch(&m->config, (size_t[]){20, 11}, 2, false);
        real *base = forward_logits(m, &b);
        size_t count = attach_adapters(m, 3, adapters, true), size, linears = m->config.family == FAMILY_GPT2 ? 4 : 7;
        real *adapted = forward_logits(m, &b);
        CHECK(count == 2 * linears * m->config.layers, "%zu", count);
        CHECK(!memcmp(base, adapted, b.tokens * m->config.vocab * sizeof *base), "fork %d", i);
        double loss;
        model_alloc_training(m, false);
        all_gradients(m, adapters, count, &b, 2, false, &loss, &size);
        for (size_t k = 0; k < count; k++) {
            bool nothing = true;
            for (size_t j = 0; j < param_size(adapters[k]); j++) nothing &= adapters[k]->g[j] == 0;
            CHECK(nothing == (k % 2 == 0), "%s", adapters[k]->name);
        }
    }
}

/* ---- learning ---- */

static void test_overfit(void) {
    for (int family = 0; family < 2; family++) {
        Model *m = small_model(family ? small_llama(29, 16, 24, 2, 4, 2, 6, 48, true) : small_gpt2(29, 16, 24, 2, 4, 48, true), false);
        model_alloc_training(m, true);
        Batch b = random_batch(&m->config, (size_t[]){16, 16, 9}, 3, false);
        Pass *p = pass_new(m, b.tokens, true, false);
        OptimOptions o = {.lr = 1e-2, .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .clip = 1, .steps = 80, .warmup = 5,
                          .schedule = SCHEDULE_COSINE};
        double first = 0, last = 0;
        for (size_t t = 0; t < o.steps; t++) {
            last = batch_gradients(m, p, &b, 3);
            if (!t) first = last;
            optim_update(m, &o, t, optim_grad_norm(m));
        }
        CHECK(first > 3 && last < 0.1, "family %d: from %.3f to %.4f", family, first, last);
    }
}

static void test_memory(void) {
    for (int family = 0; family < 2; family++) {
        Model *m = small_model(family ? small_llama(29, 64, 24, 6, 4, 2, 6, 48, true) : small_gpt2(29, 64, 24, 6, 4, 48, true), false);
        size_t full = pass_bytes(m, 64, true, false), recompute = pass_bytes(m, 64, true, true), forward = pass_bytes(m, 64, false, false);
        CHECK(forward < recompute && recompute < full, "%zu %zu %zu", forward, recompute, full);
        size_t before = mem_in_use();
        Pass *p = pass_new(m, 64, true, false);
        size_t used = mem_in_use() - before;
        CHECK(used >= full && used < full + 4096, "%zu of %zu", used, full);
        pass_free(p);
        CHECK(mem_in_use() == before);
    }
}

TESTS({"registry", test_registry}, {"refusals", test_refusals}, {"initialisation", test_init}, {"initial loss", test_initial_loss},
      {"decoding", test_decoding}, {"company", test_company}, {"causality", test_causality}, {"16 bits", test_16_bits}, {"cuts", test_cuts},
      {"weights of nothing", test_weights_of_nothing}, {"adapter of nothing", test_adapter_of_nothing}, {"overfit", test_overfit},
      {"memory", test_memory})
