/* golden: small runs of everything whose bits are promised, as `name sha256` lines, from the lowest room to the highest, so that the
 * first line that differs says where to look.
 *
 *     golden                     compares with tests/golden.txt, computing everything in five ways: threads, micro-batches, recompute,
 *                                interrupted and resumed
 *     golden --print             prints the lines (make golden writes them into the file)
 *     golden --threads N --micro-batch N --stop STEP --recompute       computes in this one way and compares
 *
 * Together 1e9 fma: the slowest tier (emulated fma, no optimisation) takes some twenty seconds. */
#include "../commands.h"
#include "../decimal.h"
#include "../gradcheck.h"
#include "../hash.h"
#include "../lora.h"
#include "../ops.h"
#include "../attention.h"
#include "../optim.h"
#include "../parallel.h"
#include "../sample.h"
#include "../simd.h"
#include "../tinystories/tinystories.h"
#include "../weights.h"
#include "scratch.h"

enum { MOST = 64, MARGIN = 64 };

static struct {
    size_t threads, micro_batch, stop;   /* 0: as it comes, the whole batch, never */
    bool recompute;
} way;

/* ---- numbers in, hashes out ---- */

/* n numbers of at most `size` (a power of two) in magnitude; tag tells different ones apart. */
static real *numbers(size_t n, uint64_t tag, float size) {
    real *x = mem_new(n + MARGIN, sizeof *x);
    for (size_t i = 0; i < n; i++) x[i] = (rng_uniform(7, RNG_TEST, i, tag) - 0.5f) * (2 * size);
    return x;
}

static uint32_t word(uint64_t i, uint64_t tag) {
    uint32_t w[4];
    philox(w, 7, RNG_TEST, i, tag);
    return w[0];
}

static void add_floats(Sha256 *s, const real *x, size_t n) { sha256_add(s, x, n * sizeof *x); }

/* NaN has many payloads, of which nothing is promised. */
static void add_float(Sha256 *s, float x) {
    uint32_t bits = x == x ? float_bits(x) : 0x7fc00000;
    sha256_add(s, &bits, sizeof bits);
}

static void add_double(Sha256 *s, double x) {
    uint64_t bits = x == x ? double_bits(x) : 0x7ff8000000000000;
    sha256_add(s, &bits, sizeof bits);
}

static void add_text(Sha256 *s, const char *text) { sha256_add(s, text, strlen(text)); }

/* ---- scalars ---- */

static void golden_fma(Sha256 *s) {
    for (uint64_t i = 0; i < 40000; i++) {
        float a = bits_float(word(i, 1)), b = bits_float(word(i, 2)), c = bits_float(word(i, 3));
        add_float(s, fma_f32(a, b, c));
        add_float(s, fma_f32(a, 1 / a, -1)); /* cancels: only the error is left */
        add_float(s, fma_f32(bits_float(word(i, 1) & 0x9fffffff), bits_float(word(i, 2) & 0x9fffffff), bits_float(word(i,
            3) & 0x80ffffff))); /* tiny */
    }
}

static void golden_functions(Sha256 *s) {
    for (uint64_t i = 0; i < 20000; i++) {
        double u = (double)word(i, 4) * 0x1p-32, x = (u - 0.5) * 200, y = (double)(word(i, 5) >> 1) * 0x1p-25;
        add_float(s, f_exp((float)x)), add_double(s, d_exp(8 * x));
        add_double(s, d_log(y + 0x1p-30)), add_double(s, d_pow(y + 0.5, x * 0.01));
        add_double(s, d_sin(1000 * x)), add_double(s, d_cos(20000 * x));
        add_float(s, f_sqrt((float)y)), add_double(s, d_sqrt(y));
        uint32_t h = f16_round((float)x) | (uint32_t)bf16_round((float)x) << 16;
        sha256_add(s, &h, sizeof h);
        add_float(s, f16_widen((uint16_t)word(i, 6)));
    }
}

static void golden_random(Sha256 *s) {
    uint32_t order[1000], drawn[100];
    for (uint64_t i = 0; i < 100; i++) drawn[i] = rng_below(3000000007u, 5, RNG_SAMPLE, i, 9);
    rng_permute(order, 1000, 3, RNG_ORDER, 1);
    sha256_add(s, order, sizeof order), sha256_add(s, drawn, sizeof drawn);
    for (uint64_t i = 0; i < 2000; i++) {
        char text[DECIMAL_MAX];
        double back, x = bits_double((uint64_t)word(i, 7) << 32 | word(i, 8));
        sha256_add(s, text, decimal_print(text, x));
        if (is_finite(x) && decimal_parse(text, strlen(text), &back)) add_double(s, back);
        sha256_add(s, text, decimal_print_float(text, bits_float(word(i, 9))));
    }
}

static void golden_sums(Sha256 *s) {
    real *x = numbers(2000, 10, 1), *y = numbers(2000, 11, 1);
    for (size_t n = 1; n < 2000; n += n < 70 ? 1 : 97) add_float(s, row_sum(x, n)), add_float(s, row_dot(x, y, n));
}

/* ---- products ---- */

static void golden_matmul(Sha256 *s) {
    static const size_t sizes[][3] = {{1, 1, 1}, {1, 77, 130}, {3, 100, 19}, {8, 48, 16}, {9, 49, 1100}, {37, 29, 31}, {70, 301, 45},
        {203, 53, 67}};
    enum { KINDS = 3 };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t M = sizes[i][0], N = sizes[i][1], K = sizes[i][2];
        real *a = numbers(M * K, 20, 1), *b = numbers(K * N, 21, 1), *c = numbers(M * N, 22, 1);
        uint16_t *half = mem_new(K * N + MARGIN, sizeof *half);
        for (int kind = 0; kind < KINDS; kind++)
            for (int turned = 0; turned < 4; turned++) {
                const void *right = kind ? (const void *)half : b;
                for (size_t j = 0; kind && j < K * N; j++) half[j] = kind == STORED_F16 ? f16_round(b[j]) : bf16_round(b[j]);
                View va = turned & 1 ? view_transposed(a, M) : view_rows(a, K);
                View vb = turned & 2 ? view(right, (Stored)kind, 1, K) : view(right, (Stored)kind, N, 1);
                matmul(c, N, va, vb, M, N, K, kind == 1 ? CONTINUE : BEGIN);
                add_floats(s, c, M * N);
                matmul_serial(c, N, va, vb, M, N, K, CONTINUE);
                add_floats(s, c, M * N);
            }
        mem_free(a), mem_free(b), mem_free(c), mem_free(half);
    }
}

/* Sums that are cut: around the cut, of one row, of a few, of many. */
static void golden_blocks(Sha256 *s) {
    static const size_t sizes[][3] = {{1, 77, 385}, {3, 50, 1000}, {4, 33, 768}, {29, 65, 1537}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t M = sizes[i][0], N = sizes[i][1], K = sizes[i][2];
        real *a = numbers(M * K, 23, 1), *b = numbers(K * N, 24, 1), *c = mem_new(M * N, sizeof *c);
        for (int turned = 0; turned < 4; turned++) {
            matmul(c, N, turned & 1 ? view_transposed(a, M) : view_rows(a, K), turned & 2 ? view_transposed(b, K) : view_rows(b, N), M, N, K, BLOCKS);
            add_floats(s, c, M * N);
        }
        mem_free(a), mem_free(b), mem_free(c);
    }
}

static Param *matrix(const char *name, size_t rows, size_t columns, uint64_t tag, float size) {
    Param *p = mem_new(1, sizeof *p);
    *p = (Param){.name = str_copy(name), .rank = columns > 1 ? 2 : 1, .shape = {rows, columns}, .w = numbers(rows * columns, tag, size),
        .decay = columns > 1};
    p->g = mem_new(rows * columns, sizeof(real));
    if (p->rank == 1) p->g_sum = mem_new(rows, sizeof(double));
    return p;
}

static Lora *adapter(size_t in, size_t out, uint64_t tag) {
    Lora *l = mem_new(1, sizeof *l);
    *l = (Lora){.rank = 5, .scale = 1.6f};
    l->a = matrix("a", l->rank, in, tag, 0.25f), l->b = matrix("b", out, l->rank, tag + 1, 0.25f);
    return l;
}

/* Forward, and backward in two parts of the batch. */
static void golden_linear(Sha256 *s) {
    enum { N = 45, CUT = 17, IN = 37, OUT = 29 };
    for (int conv1d = 0; conv1d < 2; conv1d++) {
        Linear l = {.w = matrix("w", conv1d ? IN : OUT, conv1d ? OUT : IN, 30, 0.5f), .b = matrix("b", OUT, 1, 31, 1), .lora = adapter(IN,
            OUT, 32), .in = IN, .out = OUT};
        l.w->conv1d = conv1d;
        real *x = numbers(N * IN, 34, 1), *dy = numbers(N * OUT, 35, 1), *y = mem_new(N * OUT, sizeof *y), *dx = mem_new(N * IN,
            sizeof *dx),
             *scratch = mem_new(2 * N * l.lora->rank, sizeof *scratch);
        linear_forward(y, OUT, x, IN, &l, N, scratch);
        linear_backward_dx(dx, IN, dy, OUT, &l, N, BEGIN);
        for (size_t n = 0, end = CUT; n < N; n = end, end = N) {
            Start start = n ? CONTINUE : BEGIN;
            linear_backward_weights(dy + n * OUT, OUT, x + n * IN, IN, &l, end - n, start);
            linear_backward_lora(dx + n * IN, IN, dy + n * OUT, OUT, x + n * IN, IN, &l, end - n, start, scratch);
        }
        add_floats(s, y, N * OUT), add_floats(s, dx, N * IN), add_floats(s, l.w->g, IN * OUT);
        add_floats(s, l.lora->a->g, l.lora->rank * IN), add_floats(s, l.lora->b->g, OUT * l.lora->rank);
        sha256_add(s, l.b->g_sum, OUT * sizeof(double));
    }
}

/* ---- models: four kinds ---- */

enum { CTX = 70, VOCAB = 461, SEGMENTS = 10 };   /* vocabulary x width is worth threads */
static const size_t lengths[SEGMENTS] = {70, 1, 33, 64, 65, 47, 2, 70, 70, 58};

static Config config_of(int kind) {
    if (kind == 1) /* every bias; a tied head */
        return (Config){.family = FAMILY_GPT2, .vocab = VOCAB, .ctx = CTX, .dim = 36, .layers = 2, .heads = 4, .kv_heads = 4,
            .head_dim = 9, .ffn = 50, .tied = true,
                        .qkv_bias = true, .out_bias = true, .mlp_bias = true, .norm_eps = 1e-5, .init_std = 0.2, .bos = -1, .pad = -1};
    Config c = {.family = FAMILY_LLAMA, .vocab = VOCAB, .ctx = CTX, .dim = 36, .layers = 2, .heads = 6, .kv_heads = 2, .head_dim = 6,
        .ffn = 52, .norm_eps = 1e-6,
                .rope_theta = 10000, .init_std = 0.2, .bos = -1, .pad = -1};
    if (kind == 2) /* biases of q, k and v as Qwen2 has them; one head of keys; stretched RoPE; tied */
        c.qkv_bias = c.tied = true, c.kv_heads = 1, c.rope_theta = 500000, c.rope_kind = ROPE_LLAMA3, c.rope_factor = 8, c.rope_low = 1,
            c.rope_high = 4,
        c.rope_original_ctx = 32;
    if (kind == 3) c.qk_norm = true; /* Qwen3 */
    return c;
}

/* ---- layers: the larger of two sizes is worth threads ---- */

static void golden_norms(Sha256 *s) {
    for (int large = 0; large < 2; large++) {
        size_t N = large ? 600 : 7, C = large ? 37 : 19, n = N * C;
        real *x = numbers(n, 40, 4), *dy = numbers(n, 41, 1), *gain = numbers(C, 42, 1), *bias = numbers(C, 43, 1);
        real *y = mem_new(n, sizeof *y), *dx = numbers(n, 44, 1), *mean = mem_new(N, sizeof *mean), *rstd = mem_new(N, sizeof *rstd);
        double *dgain = mem_new(C, sizeof *dgain), *dbias = mem_new(C, sizeof *dbias);
        layernorm_forward(y, mean, rstd, x, gain, bias, N, C, 1e-5f);
        layernorm_backward(dx, dgain, dbias, dy, x, gain, mean, rstd, N, C);
        add_floats(s, y, n), add_floats(s, mean, N), add_floats(s, rstd, N);
        norm_again(y, mean, rstd, x, gain, bias, N, C);
        add_floats(s, y, n);
        rmsnorm_forward(y, rstd, x, gain, N, C, 1e-6f);
        rmsnorm_backward(dx, dgain, dy, x, gain, rstd, N, C);
        add_floats(s, y, n), add_floats(s, rstd, N), add_floats(s, dx, n);
        sha256_add(s, dgain, C * sizeof *dgain), sha256_add(s, dbias, C * sizeof *dbias);
    }
}

static void golden_rope(Sha256 *s) {
    for (int kind = 0; kind < 3; kind += 2) {
        Config c = config_of(kind);
        Model *m = model_new(&c, "golden");
        add_floats(s, m->rope, c.ctx * c.head_dim);
        model_free(m);
    }
    enum { PLACES = 50, D = 10, HEADS = 3, N = 600 };
    float inv_freq[D / 2] = {1, 0.3f, 0.07f, 0.011f, 0.0013f};
    real *table = mem_new(PLACES * D, sizeof *table), *x = numbers(N * HEADS * D, 50, 2);
    size_t *position = mem_new(N, sizeof *position);
    for (size_t n = 0; n < N; n++) position[n] = n * 7 % PLACES;
    rope_table(table, inv_freq, PLACES, D);
    rope_rotate(x, HEADS * D, table, position, N, HEADS, D, false);
    add_floats(s, table, PLACES * D), add_floats(s, x, N * HEADS * D);
    rope_rotate(x, HEADS * D, table, position, N, HEADS - 1, D, true);
    add_floats(s, x, N * HEADS * D);
}

static void golden_activations(Sha256 *s) {
    for (size_t n = 21; n < 40000; n += 20000) {
        real *x = numbers(2 * n, 55, 8), *dy = numbers(n, 56, 1), *y = mem_new(2 * n, sizeof *y);
        gelu_forward(y, x, n), add_floats(s, y, n);
        gelu_backward(y, dy, x, n), add_floats(s, y, n);
        swiglu_forward(y, x, n / 7, 7), add_floats(s, y, n / 7 * 7);
        swiglu_backward(y, dy, x, n / 7, 7), add_floats(s, y, 2 * (n / 7 * 7));
        add(y, x, dy, n), add_floats(s, y, n);
    }
}

static void golden_cross_entropy(Sha256 *s) {
    for (size_t V = 1; V < 400; V += 37) {
        real *logits = numbers(V, 60 + V, 16);
        add_double(s, cross_entropy_loss(logits, V, V / 2));
        add_double(s, cross_entropy_row(logits, V, V / 2, 0.3f));
        add_floats(s, logits, V);
    }
}

static void golden_attention(Sha256 *s) {
    enum { H = 6, KV = 2, D = 7, N = 70 + 1 + 33, Q = H * D, K = KV * D, W = Q + 2 * K, KEYS = 70 };
    static const size_t segments[] = {70, 1, 33};
    AttentionBlock blocks[N];
    size_t count = 0, row = 0;
    for (size_t i = 0; i < 3; row += segments[i++])
        for (size_t t = 0; t < segments[i]; t += ATTENTION_ROWS)
            blocks[count++] = (AttentionBlock){row + t, segments[i] - t < ATTENTION_ROWS ? segments[i] - t : ATTENTION_ROWS, t, row};
    Heads h = {H, KV, D, 1 / f_sqrt(D)};
    real *qkv = numbers(N * W, 90, 4), *d_o = numbers(N * Q, 91, 1), *o = mem_new(N * Q, sizeof *o), *dqkv = mem_new(N * W, sizeof *dqkv);
    real *top = mem_new(N * H, sizeof *top), *inv_sum = mem_new(N * H, sizeof *inv_sum), *delta = mem_new(N * H, sizeof *delta);
    real *scratch = mem_new((size_t)thread_count() * attention_scratch(KEYS, D), sizeof *scratch);
    attention_forward(o, top, inv_sum, qkv, W, qkv + Q, qkv + Q + K, W, h, blocks, count, KEYS, scratch);
    attention_backward(dqkv, dqkv + Q, dqkv + Q + K, delta, d_o, o, top, inv_sum, qkv, W, qkv + Q, qkv + Q + K, W, h, blocks, count, KEYS,
        scratch);
    add_floats(s, o, N * Q), add_floats(s, top, N * H), add_floats(s, inv_sum, N * H), add_floats(s, dqkv, N * W);
}

/* ---- text ---- */

/* Small documents of a few words, some of them not ASCII, `sentences` in all. */
static Buf sample_text(size_t sentences, uint64_t tag) {
    static const char *const words[] = {"the", "cat", "dog", "sat", "on", "a", "mat", "and", "ran", "to", "its", "house", "Über", "naïve",
        "日本", "42", "don't", "red"};
    Buf b = {0};
    for (uint64_t i = 0; i < sentences; i++) {
        for (uint64_t j = 0, n = 4 + word(i, tag) % 7; j < n; j++) buf_format(&b, "%s%s", j ? " " : "", words[word(i << 8 | j,
            tag + 1) % 18]);
        buf_str(&b, i % 3 == 2 ? ".\n<|endoftext|>\n" : ".\n");
    }
    return b;
}

static void golden_tokenizer(Sha256 *s) {
    Buf text = sample_text(200, 100), back = {0};
    BpeTrainer *trainer = bpe_trainer_new();
    bpe_trainer_add(trainer, text.data, text.len);
    Tokenizer *t = bpe_train(trainer, 320);
    Ids ids = {0};
    char hex[65];
    tokenizer_encode(t, text.data, text.len, true, &ids);
    tokenizer_encode(t, "mats \xff\x00\x80 Éé 1234567 \r\n\t x", 27, false, &ids);
    tokenizer_decode(t, ids.data, ids.count, true, &back);
    os_make_dir(scratch("tokenizer"));
    tokenizer_save(t, scratch("tokenizer"));
    hash_folder(scratch("tokenizer"), hex);
    add_text(s, hex);
    sha256_add(s, ids.data, ids.count * sizeof *ids.data), sha256_add(s, back.data, back.len);
    tokenizer_free(t), ids_free(&ids);
}

static void golden_stories(Sha256 *s) {
    char hex[65];
    const char *dir = scratch("stories");
    stories_write(dir, 1, &(StoriesSize){.bytes = 20000, .valid = 5, .items = 5, .rows = 5});
    hash_folder(dir, hex);
    os_remove_tree(dir);
    add_text(s, hex);
}

/* ---- models: forward, decoding, gradients, updates, files ---- */

static Model *model_of(int kind) {
    Config c = config_of(kind);
    Model *m = model_new(&c, "golden");
    model_alloc_weights(m), model_alloc_training(m, true), model_init(m, 11);
    for (size_t i = 0; i < m->count; i++) { /* no zeros and ones: they hide mistakes */
        Param *p = m->params[i];
        real *w = p->w, *more = numbers(param_size(p), 200 + i, 0.125f);
        for (size_t j = 0; j < param_size(p) && p->rank == 1; j++) w[j] += more[j];
        mem_free(more);
    }
    return m;
}

/* Segments of all lengths; some targets not supervised, some weights not 1. */
static Batch batch_of(uint64_t tag) {
    Batch b = {0};
    int32_t ids[CTX], targets[CTX];
    float weights[CTX];
    for (uint64_t i = 0; i < SEGMENTS; i++) {
        for (uint64_t t = 0; t < lengths[i]; t++) {
            uint64_t at = i << 16 | t;
            ids[t] = (int32_t)(word(at, tag) % VOCAB), targets[t] = word(at, tag + 1) % 5 ? (int32_t)(word(at, tag + 2) % VOCAB) : -1;
            weights[t] = word(at, tag + 3) % 3 ? 1 : (float)(word(at, tag + 4) % 4) * 0.3f;
        }
        batch_add(&b, ids, targets, weights, lengths[i]);
    }
    return b;
}

static size_t samples_at_once(void) { return way.micro_batch ? way.micro_batch : SEGMENTS; }

static void forward(int kind, Sha256 *s) {
    Model *m = model_of(kind);
    Batch b = batch_of(300);
    Pass *p = pass_new(m, b.tokens, false, false);
    real *logits = mem_new(b.tokens * VOCAB, sizeof *logits), *decoded = mem_new(CTX * VOCAB, sizeof *decoded);
    double *losses = mem_new(b.tokens, sizeof *losses);
    model_forward(m, p, &b);
    model_logits(m, p, 0, b.tokens, logits);
    model_loss(m, p, &b, losses);
    add_floats(s, logits, b.tokens * VOCAB), sha256_add(s, losses, b.tokens * sizeof *losses);
    /* Decoding, whole, in chunks and token by token, gives the same logits in every bit. */
    static const size_t chunks[SEGMENTS] = {CTX, 1, 5, 1, 33, 7, 1, 64, 16, 58};
    Cache *cache = cache_new(m, CTX);
    for (size_t i = 0; i < SEGMENTS; i++) {
        Segment g = b.segments[i];
        cache_clear(cache);
        for (size_t t = 0; t < g.length; t += chunks[i]) {
            size_t n = g.length - t < chunks[i] ? g.length - t : chunks[i];
            model_decode(m, cache, b.ids + g.row + t, n, true, decoded + t * VOCAB);
        }
        if (memcmp(decoded, logits + g.row * VOCAB, g.length * VOCAB * sizeof *decoded))
            work_failed("segment %zu of %zu tokens, decoded %zu at a time, has other logits than the forward pass of training", i,
                g.length, chunks[i]);
    }
    cache_free(cache), pass_free(p), batch_free(&b), mem_free(logits), mem_free(decoded), mem_free(losses), model_free(m);
}

static void gradients(int kind, Sha256 *s) {
    Model *m = model_of(kind);
    Batch b = batch_of(300);
    if (kind == 0)
        for (size_t i = 0; i < m->config.layers; i++) {
            Block *k = &m->blocks[i];
            Linear *with[] = {&k->qkv[0], &k->qkv[2], &k->out, &k->in[1], &k->down};
            for (size_t j = 0; j < 5; j++) with[j]->lora = adapter(with[j]->in, with[j]->out, 400 + 20 * i + 2 * j);
        }
    Pass *p = pass_new(m, b.tokens, true, way.recompute);
    add_double(s, batch_gradients(m, p, &b, samples_at_once()));
    for (size_t i = 0; i < m->count; i++) add_floats(s, m->params[i]->g, param_size(m->params[i]));
    if (kind == 0)
        for (size_t i = 0; i < m->config.layers; i++) {
            const Lora *first = m->blocks[i].qkv[0].lora, *last = m->blocks[i].down.lora;
            add_floats(s, first->a->g, param_size(first->a)), add_floats(s, first->b->g, param_size(first->b));
            add_floats(s, last->a->g, param_size(last->a)), add_floats(s, last->b->g, param_size(last->b));
        }
    pass_free(p), batch_free(&b), model_free(m);
}

static void updates(int kind, Sha256 *s) {
    Model *m = model_of(kind);
    OptimOptions o = {.lr = 0.01, .min_lr = 0.001, .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .weight_decay = 0.1, .clip = 0.5,
        .schedule = (Schedule)(kind + 1), .steps = 3, .warmup = 1};
    for (size_t t = 0; t < 3; t++) {
        for (size_t i = 0; i < m->count; i++) {
            Param *q = m->params[i];
            real *g = numbers(param_size(q), 500 + 50 * t + i, 0x1p-8f);
            memcpy(q->g, g, param_size(q) * sizeof *g);
            mem_free(g);
        }
        double norm = optim_grad_norm(m);
        add_double(s, norm), add_double(s, optim_lr(&o, t));
        optim_update(m, &o, t, norm);
    }
    for (size_t i = 0; i < m->count; i++) {
        const Param *q = m->params[i];
        add_floats(s, q->w, param_size(q)), add_floats(s, q->m, param_size(q)), add_floats(s, q->v, param_size(q));
    }
    model_free(m);
}

/* rsLoRA; dropout, LoRA+ and trained rows; DoRA with dropout and rows: two updates, the folder, the merged weights. */
static void adapters(int kind, Sha256 *s) {
    OptimOptions adamw = {.lr = 0.01, .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .weight_decay = 0.1, .clip = 0.5, .steps = 2};
    for (int which = 0; which < 3; which++) {
        Model *m = model_of(kind);
        LoraOptions o = {.rank = 3, .alpha = 5, .seed = 9, .rslora = which == 0, .dropout = which ? 0.25 : 0, .dora = which == 2, .plus = which == 1 ? 4 : 0};
        lora_targets(&o, which ? "all-linear" : kind ? "c_attn,mlp.c_proj" : ".*\\.[qv]_proj");
        if (which) lora_tokens(&o, m, (const int32_t[]){7, 3, 30}, 3);
        lora_attach(m, &o);
        model_alloc_training(m, true);
        Batch b = batch_of(700);
        for (size_t i = 0; i < b.segment_count; i++) batch_key(&b, b.segments[i].row, i); /* each call numbers all that follows */
        b.seed = 4;
        Pass *p = pass_new(m, b.tokens, true, way.recompute);
        for (size_t t = 0; t < adamw.steps; t++) {
            b.step = t;
            add_double(s, batch_gradients(m, p, &b, samples_at_once()));
            optim_update(m, &adamw, t, optim_grad_norm(m));
        }
        char hex[65];
        const char *dir = scratch("adapter");
        os_make_dir(dir);
        adapter_save(m, dir);
        hash_folder(dir, hex);
        add_text(s, hex);
        lora_merge(m, 1);
        for (size_t i = 0; i < m->count; i++) add_floats(s, m->params[i]->w, param_size(m->params[i]));
        pass_free(p), batch_free(&b), lora_free_options(&o), model_free(m);
    }
}

static void golden_llama_adapters(Sha256 *s) { adapters(0, s); }
static void golden_gpt2_adapters(Sha256 *s) { adapters(1, s); }
static void golden_llama_forward(Sha256 *s) { forward(0, s); }
static void golden_gpt2_forward(Sha256 *s) { forward(1, s); }
static void golden_qwen_forward(Sha256 *s) { forward(2, s); }
static void golden_llama_gradients(Sha256 *s) { gradients(0, s); }
static void golden_gpt2_gradients(Sha256 *s) { gradients(1, s); }
static void golden_qwen_gradients(Sha256 *s) { gradients(2, s); }
static void golden_qwen3_forward(Sha256 *s) { forward(3, s); }
static void golden_qwen3_gradients(Sha256 *s) { gradients(3, s); }
static void golden_llama_update(Sha256 *s) { updates(0, s); }
static void golden_gpt2_update(Sha256 *s) { updates(1, s); }

/* A folder is written, read back, and written in 16 bits and read again as such. */
static void golden_files(Sha256 *s) {
    char hex[65];
    for (int kind = 0; kind < 2; kind++) {
        Model *m = model_of(kind);
        const char *dir = scratch("model");
        os_make_dir(dir);
        model_save(m, dir);
        hash_folder(dir, hex);
        add_text(s, hex);
        StTensor *t = mem_new(m->count, sizeof *t);
        for (size_t i = 0; i < m->count; i++) {
            const Param *p = m->params[i];
            uint16_t *half = mem_new(param_size(p), sizeof *half);
            for (size_t j = 0; j < param_size(p); j++) half[j] = kind ? f16_round(param_real(p)[j]) : bf16_round(param_real(p)[j]);
            t[i] = (StTensor){.name = p->name, .type = kind ? ST_F16 : ST_BF16, .rank = p->rank, .dims = {p->shape[0], p->shape[1]},
                .data = (const unsigned char *)half,
                              .bytes = 2 * param_size(p)};
        }
        st_write(scratch("model/model.safetensors"), t, m->count);
        hash_folder(dir, hex);
        add_text(s, hex);
        Model *back = model_load(dir, true);
        real *logits = mem_new(9 * VOCAB, sizeof *logits);
        Cache *cache = cache_new(back, CTX);
        model_decode(back, cache, (const int32_t[9]){1, 2, 3, 400, 5, 6, 7, 8, 9}, 9, true, logits);
        add_floats(s, logits, 9 * VOCAB);
        cache_free(cache), model_free(back), model_free(m);
        os_remove_tree(dir);
    }
}

/* ---- whole runs, as the command makes them ---- */

static void pretrain(const char *out, bool gpt2, size_t stop, bool resume) {
    char micro[24], stop_at[24];
    snprintf(micro, sizeof micro, "%zu", way.micro_batch), snprintf(stop_at, sizeof stop_at, "%zu", stop);
    const char *words[] = {"--data", scratch("train.txt"), "--valid", scratch("valid.txt"), "--out", out, "--family",
        gpt2 ? "gpt2" : "llama", "--layers", "2",
                           "--dim", "36", "--heads", gpt2 ? "4" : "6", "--kv-heads", gpt2 ? "4" : "2", "--ffn", "52", "--ctx", "17",
                               "--vocab", "300",
                           "--batch", "8", "--epochs", "2", "--eval-every", "6", "--sample-tokens", "12", "--lr", "1e-2", "--seed",
                               gpt2 ? "4" : "3",
                           "--schedule", gpt2 ? "wsd" : "cosine", "--warmup", gpt2 ? "2" : "20%", "--order", gpt2 ? "file" : "shuffle",
                               "--micro-batch", micro,
                           "--stop-at", stop_at, gpt2 ? "--clip" : "--untied", "0.5", "--recompute", "--resume"};
    char *argv[64];
    int argc = 0, count = (int)(sizeof words / sizeof *words);
    for (int i = 0; i < count; i++) {
        bool left_out = (!strcmp(words[i], "--recompute") && !way.recompute) || (!strcmp(words[i],
            "--resume") && !resume) || (!strcmp(words[i], "0.5") && !gpt2);
        if (!left_out) argv[argc++] = str_copy(words[i]);
    }
    int code = cmd_pretrain(argc, argv);
    if (code) work_failed("pretrain left with %d", code);
}

static void run(bool gpt2, Sha256 *s) {
    const char *out = scratch(gpt2 ? "gpt2" : "llama");
    char hex[65];
    Buf train = sample_text(109, 600), valid = sample_text(30, 610);
    scratch_file("train.txt", train.data, train.len), scratch_file("valid.txt", valid.data, valid.len);
    os_remove_tree(out);
    if (way.stop) pretrain(out, gpt2, way.stop, false);
    pretrain(out, gpt2, 0, way.stop > 0);
    hash_folder(out, hex);
    add_text(s, hex);
    char *last = os_join(out, "checkpoints/step-00000020");
    hash_folder(last, hex);
    add_text(s, hex);
}

static void golden_llama_run(Sha256 *s) { run(false, s); }
static void golden_gpt2_run(Sha256 *s) { run(true, s); }

static void golden_generate(Sha256 *s) {
    Model *m = model_load(scratch("llama"), true);
    Tokenizer *tok = tokenizer_load(scratch("llama"));
    static const SampleOptions options[] = {{.repetition_penalty = 1, .top_p = 1}, {.temperature = 1, .top_p = 0.9, .top_k = 40,
        .min_p = 0.01, .repetition_penalty = 1.2, .seed = 5},
                                            {.temperature = 0.7, .top_p = 1, .repetition_penalty = 1, .seed = 6}};
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        GenerateOptions g = {.sample = options[i], .tokens = 40};
        Ids ids = {0};
        Buf text = {0};
        Cache *cache = cache_new(m, m->config.ctx);
        ids_push(&ids, tokenizer_bos(tok));
        tokenizer_encode(tok, "the cat", 7, false, &ids);
        generate(m, tok, cache, &ids, &g, &text);
        sha256_add(s, ids.data, ids.count * sizeof *ids.data);
        if (text.data) sha256_add(s, text.data, text.len);
        cache_free(cache), ids_free(&ids);
    }
    model_free(m), tokenizer_free(tok);
}

/* ---- the list, and what is done with it ---- */

static const struct {
    const char *name;
    void (*run)(Sha256 *);
} goldens[] = {{"fma", golden_fma}, {"functions", golden_functions}, {"random-numbers-and-decimals", golden_random}, {"sums",
    golden_sums}, {"matmul", golden_matmul}, {"blocks", golden_blocks},
               {"linear", golden_linear}, {"norms", golden_norms}, {"rope", golden_rope}, {"activations", golden_activations},
                   {"cross-entropy", golden_cross_entropy},
               {"attention", golden_attention}, {"tokenizer", golden_tokenizer}, {"stories", golden_stories}, {"llama-forward",
                   golden_llama_forward},
               {"gpt2-forward", golden_gpt2_forward}, {"qwen-forward", golden_qwen_forward}, {"llama-gradients", golden_llama_gradients},
               {"gpt2-gradients", golden_gpt2_gradients}, {"qwen-gradients", golden_qwen_gradients}, {"llama-update", golden_llama_update},
               {"gpt2-update", golden_gpt2_update}, {"llama-adapters", golden_llama_adapters}, {"gpt2-adapters", golden_gpt2_adapters},
               {"files", golden_files}, {"llama-run", golden_llama_run}, {"gpt2-run",
                   golden_gpt2_run}, {"generate", golden_generate}, {"qwen3-forward", golden_qwen3_forward}, {"qwen3-gradients", golden_qwen3_gradients}};
enum { GOLDENS = sizeof goldens / sizeof *goldens };

static const char *const place = "tests/golden.txt";
static char expected[GOLDENS][65];
static int passed, failed;

static void read_expected(void) {
    Buf text = os_read(place);
    for (int i = 0; i < GOLDENS; i++) {
        char *key = str_format("\n%s ", goldens[i].name), *at = strstr(text.data, key);
        if (at && strlen(at) >= strlen(key) + 64) memcpy(expected[i], at + strlen(key), 64);
        mem_free(key);
    }
    char *version = str_format("# bits_version %d\n", BITS_VERSION);
    if (!str_starts(text.data, version)) bad_input("%s: does not begin with %s: make golden", place, version);
    buf_free(&text);
}

static bool compute(int i, char hex[65], char message[2048]) {
    Sha256 s;
    unsigned char digest[32];
    Catch c;
    sha256_begin(&s);
    if (setjmp(catch_begin(&c)->jump)) {
        snprintf(message, 2048, "%s", c.text);
        return false;
    }
    goldens[i].run(&s);
    catch_end(&c);
    sha256_end(&s, digest);
    sha256_hex(digest, hex);
    return true;
}

static void describe(char text[128]) {
    int n = snprintf(text, 128, "%d threads", thread_count());
    if (way.micro_batch) n += snprintf(text + n, 64, ", micro-batches of %zu", way.micro_batch);
    if (way.stop) n += snprintf(text + n, 64, ", stopped after step %zu and resumed", way.stop);
    if (way.recompute) snprintf(text + n, 64, ", recomputed");
}

static void one_way(bool print) {
    bool first = true;
    char how[128], hex[65], message[2048];
    if (way.threads) thread_limit((int)way.threads);
    describe(how);
    for (int i = 0; i < GOLDENS; i++) {
        bool done = compute(i, hex, message);
        if (print && done) printf("%s %s\n", goldens[i].name, hex);
        if (done && (print || !strcmp(hex, expected[i]))) {
            passed++;
            continue;
        }
        failed++;
        if (done) printf("%s (%s)\n  old %s\n  new %s%s\n", goldens[i].name, how, *expected[i] ? expected[i] : "none", hex,
            first ? "   <- the first that differs" : "");
        else printf("%s (%s): %s\n", goldens[i].name, how, message);
        first = false;
    }
}

static void all_ways(void) {
    static const struct { size_t threads, micro_batch, stop; bool recompute; } ways[] = {
        {0, 0, 0, false}, {1, 8, 0, true}, {2, 4, 7, false}, {3, 1, 0, false}, {7, 2, 7, true}};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        way.threads = ways[i].threads, way.micro_batch = ways[i].micro_batch, way.stop = ways[i].stop, way.recompute = ways[i].recompute;
        one_way(false);
    }
}

int main(int argc, char **argv) {
    static bool print, one;
    static Catch c;
    if (setjmp(catch_begin(&c)->jump)) {
        printf("%s\ngolden: 0 passed, 1 failed\n", c.text);
        return 1;
    }
    Flag flags[] = {{"--print", FLAG_SWITCH, EXECUTION, &print, 0, 0, NULL, "", false}, {"--threads", FLAG_SIZE, EXECUTION, &way.threads,
        0, 64, "N", "", false},
                    {"--micro-batch", FLAG_SIZE, EXECUTION, &way.micro_batch, 0, 64, "N", "", false}, {"--stop", FLAG_SIZE, EXECUTION,
                        &way.stop, 0, 20, "N", "", false},
                    {"--recompute", FLAG_SWITCH, EXECUTION, &way.recompute, 0, 0, NULL, "", false}};
    Command command = {.name = "golden", .summary = "", .usage = "", .example = "", .flags = flags, .count = sizeof flags / sizeof *flags};
    os_begin(), fp_reset_mode();
    if (!cli_parse(&command, argc - 1, argv + 1, 0)) return 0;
    one = argc > 1;
    scratch_text("progress", "");
    if (!freopen(scratch("progress"), "w", stderr)) return 1; /* pretrain says there what it does */
    if (print) printf("# bits_version %d\n", BITS_VERSION);
    else read_expected();
    if (one) one_way(print);
    else all_ways();
    if (!print) printf("golden: %d passed, %d failed\n", passed, failed);
    fclose(stderr); /* Windows removes no file that is open */
    return failed > 0;
}
