/* Every layer's backward against five-point central differences of its forward, in double. */
#include "../attention.h"
#include "../linear.h"
#include "../ops.h"
#include "../parallel.h"
#include "random.h"
#include "test.h"

#ifndef REAL_F64
#error "gradients are checked in double: build with -DREAL_F64"
#endif

/* A layer as a function of up to MOST inputs. The objective is Σ d_out out. */
enum { MOST = 6 };
typedef struct Op Op;
struct Op {
    const char *name;
    void (*forward)(Op *), (*backward)(Op *);
    struct {
        const char *name;
        size_t size;
        real *x, *dx;
        double *sum;                  /* the gradient, where it is a double chain; then dx is NULL */
        bool written;                 /* backward writes dx, else it adds to it */
    } in[MOST];
    int inputs;
    size_t out_size;
    real *out, *d_out, *saved[3];
    size_t saved_size[3];
    size_t N, C;                      /* what an op needs beside */
    const void *more;
};

static int add_input(Op *op, const char *name, size_t size, double scale, bool written) {
    int i = op->inputs++;
    op->in[i].name = name, op->in[i].size = size, op->in[i].written = written;
    op->in[i].x = random_reals(size, scale);
    op->in[i].dx = mem_new(size, sizeof(real));
    return i;
}

static int add_vector(Op *op, const char *name, size_t size) {
    int i = add_input(op, name, size, 1, false);
    mem_free(op->in[i].dx);
    op->in[i].dx = NULL;
    op->in[i].sum = mem_new(size, sizeof(double));
    return i;
}

static void add_output(Op *op, size_t size) {
    op->out_size = size;
    op->out = nan_reals(size);
    op->d_out = random_reals(size, 1);
}

static void add_saved(Op *op, int i, size_t size) { op->saved[i] = nan_reals(size), op->saved_size[i] = size; }

static double objective(Op *op) {
    double sum = 0;
    op->forward(op);
    for (size_t i = 0; i < op->out_size; i++) sum += op->d_out[i] * op->out[i];
    return sum;
}

static double gradient_of(const Op *op, int i, size_t j) { return op->in[i].sum ? op->in[i].sum[j] : op->in[i].dx[j]; }

static double worst;

static void check_input(Op *op, int i) {
    static const double steps[4] = {-2, -1, 1, 2};
    const double h = 1e-3;
    size_t size = op->in[i].size;
    double *numeric = mem_new(size, sizeof *numeric), *analytic = mem_new(size, sizeof *analytic);
    for (size_t j = 0; j < size; j++) {
        double f[4], kept = op->in[i].x[j];
        for (int k = 0; k < 4; k++) op->in[i].x[j] = kept + steps[k] * h, f[k] = objective(op);
        op->in[i].x[j] = kept;
        numeric[j] = (f[0] - 8 * f[1] + 8 * f[2] - f[3]) / (12 * h);
        analytic[j] = gradient_of(op, i, j);
    }
    double error = distance(analytic, numeric, size);
    CHECK(error < 1e-7, "%s: gradient of %s is off by %.2e", op->name, op->in[i].name, error);
    if (!(error <= worst)) worst = error;
    mem_free(numeric), mem_free(analytic);
}

/* Outputs hold NaN before they are written; gradients that are added to are added to twice. */
static void check_op(Op *op) {
    thread_limit(1);
    worst = 0;
    nan_fill(op->out, op->out_size);
    for (int i = 0; i < 3; i++)
        if (op->saved[i]) nan_fill(op->saved[i], op->saved_size[i]);
    for (int i = 0; i < op->inputs; i++)
        if (op->in[i].written) nan_fill(op->in[i].dx, op->in[i].size);
    op->forward(op);
    CHECK(all_finite(op->out, op->out_size), "%s", op->name);
    op->backward(op);
    for (int i = 0; i < op->inputs; i++) check_input(op, i);
    op->forward(op);
    double *once[MOST];
    for (int i = 0; i < op->inputs; i++) {
        once[i] = mem_new(op->in[i].size, sizeof(double));
        for (size_t j = 0; j < op->in[i].size; j++) once[i][j] = gradient_of(op, i, j);
    }
    op->backward(op);
    for (int i = 0; i < op->inputs; i++) {
        double *twice = mem_new(op->in[i].size, sizeof(double));
        for (size_t j = 0; j < op->in[i].size; j++) twice[j] = gradient_of(op, i, j) / (op->in[i].written ? 1 : 2);
        CHECK(distance(twice, once[i], op->in[i].size) < (op->in[i].written ? 1e-300 : 1e-14), "%s: %s the second time", op->name,
              op->in[i].name);
    }
    printf("%-40s %.1e\n", op->name, worst);
}

/* ---- norms ---- */

static void layernorm_f(Op *o) {
    layernorm_forward(o->out, o->saved[0], o->saved[1], o->in[0].x, o->in[1].x, o->in[2].x, o->N, o->C, 1e-5);
}
static void layernorm_b(Op *o) {
    layernorm_backward(o->in[0].dx, o->in[1].sum, o->in[2].sum, o->d_out, o->in[0].x, o->in[1].x, o->saved[0], o->saved[1], o->N, o->C);
}
static void rmsnorm_f(Op *o) { rmsnorm_forward(o->out, o->saved[1], o->in[0].x, o->in[1].x, o->N, o->C, 1e-5); }
static void rmsnorm_b(Op *o) { rmsnorm_backward(o->in[0].dx, o->in[1].sum, o->d_out, o->in[0].x, o->in[1].x, o->saved[1], o->N, o->C); }

/* Heads side by side in rows that hold one value more; all of a row is input, the heads alone are normed. */
enum { HEADS = 3 };
static void headnorm_f(Op *o) {
    size_t ld = HEADS * o->C + 1;
    memcpy(o->out, o->in[0].x, o->N * ld * sizeof *o->out);
    headnorm_forward(o->out, ld, o->saved[0], o->saved[1], o->in[1].x, o->N, HEADS, o->C, 1e-5);
}
static void headnorm_b(Op *o) {
    size_t ld = HEADS * o->C + 1;
    real *d = mem_new(o->N * ld, sizeof *d), *dy = mem_new(o->N * HEADS * o->C, sizeof *dy);
    memcpy(d, o->d_out, o->N * ld * sizeof *d);
    headnorm_backward(d, ld, o->in[1].sum, dy, o->saved[0], o->saved[1], o->in[1].x, o->N, HEADS, o->C);
    for (size_t i = 0; i < o->N * ld; i++) o->in[0].dx[i] += d[i];
    mem_free(d), mem_free(dy);
}

static void test_head_norms(void) {
    static const size_t sizes[] = {2, 3, 6, 16, 17, 32}; /* of one value only the sign is left */
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        Op o = {.name = str_format("head norm D=%zu", sizes[i]), .forward = headnorm_f, .backward = headnorm_b, .N = 2, .C = sizes[i]};
        add_input(&o, "x", o.N * (HEADS * o.C + 1), 2, false);
        add_vector(&o, "gain", o.C);
        add_output(&o, o.N * (HEADS * o.C + 1));
        add_saved(&o, 0, o.N * HEADS * o.C), add_saved(&o, 1, o.N * HEADS);
        check_op(&o);
    }
}

static void test_norms(void) {
    static const size_t sizes[] = {1, 2, 5, 16, 17, 33, 64};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (int mean = 0; mean < 2; mean++) {
            Op o = {.name = str_format("%s C=%zu", mean ? "layernorm" : "rmsnorm", sizes[i]), .forward = mean ? layernorm_f : rmsnorm_f,
                    .backward = mean ? layernorm_b : rmsnorm_b, .N = 3, .C = sizes[i]};
            add_input(&o, "x", o.N * o.C, 2, false);
            add_vector(&o, "gain", o.C);
            if (mean) add_vector(&o, "bias", o.C);
            add_output(&o, o.N * o.C);
            add_saved(&o, 0, o.N), add_saved(&o, 1, o.N);
            check_op(&o);
        }
    }
}

/* Frozen gains: dx alone is asked for. */
static void test_frozen_gain(void) {
    enum { N = 2, C = 19 };
    real *x = random_reals(N * C, 1), *gain = random_reals(C, 1), *bias = random_reals(C, 1), *dy = random_reals(N * C, 1),
        *y = nan_reals(N * C);
    real mean[N], rstd[N], *dx = mem_new(N * C, sizeof *dx), *dx2 = mem_new(N * C, sizeof *dx);
    double dgain[C] = {0}, dbias[C] = {0};
    layernorm_forward(y, mean, rstd, x, gain, bias, N, C, 1e-5);
    layernorm_backward(dx, dgain, dbias, dy, x, gain, mean, rstd, N, C);
    layernorm_backward(dx2, NULL, NULL, dy, x, gain, mean, rstd, N, C);
    CHECK(!memcmp(dx, dx2, N * C * sizeof *dx));
    memset(dx, 0, N * C * sizeof *dx), memset(dx2, 0, N * C * sizeof *dx);
    rmsnorm_forward(y, rstd, x, gain, N, C, 1e-5);
    rmsnorm_backward(dx, dgain, dy, x, gain, rstd, N, C);
    rmsnorm_backward(dx2, NULL, dy, x, gain, rstd, N, C);
    CHECK(!memcmp(dx, dx2, N * C * sizeof *dx));
}

/* ---- rope: turns in place, its gradient is turned back in place ---- */

enum { ROPE_HEADS = 2, ROPE_CTX = 50 };
static size_t rope_positions[5] = {0, 1, 7, 0, 49};

static void rope_f(Op *o) {
    memcpy(o->out, o->in[0].x, o->out_size * sizeof(real));
    rope_rotate(o->out, ROPE_HEADS * o->C, o->more, rope_positions, o->N, ROPE_HEADS, o->C, false);
}
static void rope_b(Op *o) {
    memcpy(o->in[0].dx, o->d_out, o->out_size * sizeof(real));
    rope_rotate(o->in[0].dx, ROPE_HEADS * o->C, o->more, rope_positions, o->N, ROPE_HEADS, o->C, true);
}

static void test_rope(void) {
    static const size_t sizes[] = {2, 6, 32, 34};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        Op o = {.name = str_format("rope D=%zu", sizes[i]), .forward = rope_f, .backward = rope_b, .N = 5, .C = sizes[i]};
        real *table = nan_reals(ROPE_CTX * o.C);
        float inv_freq[17];
        for (size_t j = 0; j < o.C / 2; j++) inv_freq[j] = 1 / (1 + 3 * (float)j);
        rope_table(table, inv_freq, ROPE_CTX, o.C);
        o.more = table;
        add_input(&o, "x", o.N * ROPE_HEADS * o.C, 1, true);
        add_output(&o, o.in[0].size);
        check_op(&o);
    }
}

/* ---- activations ---- */

static void gelu_f(Op *o) { gelu_forward(o->out, o->in[0].x, o->N); }
static void gelu_b(Op *o) { gelu_backward(o->in[0].dx, o->d_out, o->in[0].x, o->N); }
static void swiglu_f(Op *o) { swiglu_forward(o->out, o->in[0].x, o->N, o->C); }
static void swiglu_b(Op *o) { swiglu_backward(o->in[0].dx, o->d_out, o->in[0].x, o->N, o->C); }

static void test_activations(void) {
    static const size_t sizes[] = {1, 15, 16, 61};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        Op gelu = {.name = str_format("gelu n=%zu", sizes[i]), .forward = gelu_f, .backward = gelu_b, .N = sizes[i]};
        add_input(&gelu, "x", gelu.N, 3, true);
        add_output(&gelu, gelu.N);
        check_op(&gelu);
        Op swiglu = {.name = str_format("swiglu F=%zu", sizes[i]), .forward = swiglu_f, .backward = swiglu_b, .N = 3, .C = sizes[i]};
        add_input(&swiglu, "gate|up", 2 * swiglu.N * swiglu.C, 3, true);
        add_output(&swiglu, swiglu.N * swiglu.C);
        check_op(&swiglu);
    }
}

/* ---- cross-entropy: weight of row n is d_out[n] ---- */

static size_t target_of(size_t n, size_t V) { return (n * 7 + V - 1) % V; }
static void cross_entropy_f(Op *o) {
    for (size_t n = 0; n < o->N; n++) o->out[n] = cross_entropy_loss(o->in[0].x + n * o->C, o->C, target_of(n, o->C));
}
static void cross_entropy_b(Op *o) {
    memcpy(o->in[0].dx, o->in[0].x, o->in[0].size * sizeof(real));
    for (size_t n = 0; n < o->N; n++) {
        double loss = cross_entropy_row(o->in[0].dx + n * o->C, o->C, target_of(n, o->C), o->d_out[n]);
        CHECK(loss == o->out[n], "both functions give the same bits");
    }
}

static void test_cross_entropy(void) {
    static const size_t sizes[] = {1, 2, 16, 37, 130};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        Op o = {.name = str_format("cross-entropy V=%zu", sizes[i]), .forward = cross_entropy_f, .backward = cross_entropy_b, .N = 4,
                .C = sizes[i]};
        add_input(&o, "logits", o.N * o.C, 4, true);
        add_output(&o, o.N);
        check_op(&o);
    }
}

/* ---- attention: sizes around the block of 32, groups, several segments ---- */

typedef struct {
    Heads heads;
    AttentionBlock blocks[16];
    size_t count, keys, tokens;
    real *delta, *scratch;
} Attention;

static size_t width_q(const Attention *a) { return a->heads.heads * a->heads.head_dim; }
static size_t width_kv(const Attention *a) { return a->heads.kv_heads * a->heads.head_dim; }

static void attention_f(Op *o) {
    const Attention *a = o->more;
    attention_forward(o->out, o->saved[0], o->saved[1], o->in[0].x, width_q(a), o->in[1].x, o->in[2].x, width_kv(a), a->heads, a->blocks,
                      a->count,
                      a->keys, a->scratch);
}
static void attention_b(Op *o) {
    const Attention *a = o->more;
    attention_backward(o->in[0].dx, o->in[1].dx, o->in[2].dx, a->delta, o->d_out, o->out, o->saved[0], o->saved[1], o->in[0].x, width_q(a),
                       o->in[1].x,
                       o->in[2].x, width_kv(a), a->heads, a->blocks, a->count, a->keys, a->scratch);
}

static void check_attention(size_t heads, size_t kv_heads, size_t D, const size_t *lengths, size_t segments) {
    Attention a = {.heads = {heads, kv_heads, D, 1 / d_sqrt((double)D)}};
    for (size_t s = 0; s < segments; a.tokens += lengths[s++]) {
        if (lengths[s] > a.keys) a.keys = lengths[s];
        for (size_t t = 0; t < lengths[s]; t += ATTENTION_ROWS)
            a.blocks[a.count++] = (AttentionBlock){.row = a.tokens + t,
                                                   .rows = lengths[s] - t < ATTENTION_ROWS ? lengths[s] - t : ATTENTION_ROWS,
                                                   .first = t, .key_row = a.tokens};
    }
    a.delta = nan_reals(a.tokens * heads);
    a.scratch = nan_reals(64 * attention_scratch(a.keys, D));
    Op o = {.name = str_format("attention %zu/%zu heads D=%zu, %zu tokens", heads, kv_heads, D, a.tokens), .forward = attention_f,
            .backward = attention_b, .more = &a};
    add_input(&o, "q", a.tokens * width_q(&a), 1.5, true);
    add_input(&o, "k", a.tokens * width_kv(&a), 1.5, true);
    add_input(&o, "v", a.tokens * width_kv(&a), 1, true);
    add_output(&o, a.tokens * width_q(&a));
    add_saved(&o, 0, a.tokens * heads), add_saved(&o, 1, a.tokens * heads);
    check_op(&o);
}

static void test_attention(void) {
    check_attention(1, 1, 1, (size_t[]){1}, 1);
    check_attention(2, 2, 3, (size_t[]){2, 1, 5}, 3);
    check_attention(4, 2, 4, (size_t[]){7, 3}, 2);
    check_attention(3, 1, 2, (size_t[]){9}, 1);
    check_attention(2, 1, 3, (size_t[]){33, 4}, 2);
    check_attention(1, 1, 17, (size_t[]){17}, 1);
    check_attention(2, 2, 2, (size_t[]){32, 31}, 2);
    check_attention(1, 1, 2, (size_t[]){65}, 1);
}

/* ---- linear: both layouts, bias, adapter ---- */

typedef struct {
    Linear l;
    Param w, b, a1, b1;
    Lora lora;
    real *scratch;
    size_t ldx, ldy;
} Layer;

enum { X, W, BIAS, A, B };

static void linear_f(Op *o) {
    const Layer *l = o->more;
    linear_forward(o->out, l->ldy, o->in[X].x, l->ldx, &l->l, o->N, l->scratch);
}
/* One call continues chains that stand at zero, as a later micro-batch would; dx is added to, as by q, then k, then v. */
static void linear_b(Op *o) {
    Layer l = *(const Layer *)o->more;
    linear_backward_dx(o->in[X].dx, l.ldx, o->d_out, l.ldy, &l.l, o->N, CONTINUE);
    linear_backward_weights(o->d_out, l.ldy, o->in[X].x, l.ldx, &l.l, o->N, CONTINUE);
    linear_backward_lora(o->in[X].dx, l.ldx, o->d_out, l.ldy, o->in[X].x, l.ldx, &l.l, o->N, CONTINUE, l.scratch);
}

/* Makes op i of 0..: bit 0 Conv1D, bit 1 bias, bit 2 adapter. */
static void linear_op(Op *o, Layer *l, int kind, size_t N, size_t in, size_t out, size_t rank) {
    bool conv1d = kind & 1, bias = kind & 2, lora = kind & 4;
    *o = (Op){.name = str_format("linear %zu -> %zu%s%s%s", in, out, conv1d ? ", Conv1D" : "", bias ? ", bias" : "", lora ? ", LoRA" : ""),
              .forward = linear_f, .backward = linear_b, .N = N, .more = l};
    add_input(o, "x", N * in, 1, false), add_input(o, "w", in * out, 1, false), add_vector(o, "bias", out);
    add_input(o, "A", rank * in, 1, false), add_input(o, "B", out * rank, 1, false);
    add_output(o, N * out);
    *l = (Layer){.l = {.in = in, .out = out}, .ldx = in, .ldy = out};
    l->w = (Param){.rank = 2, .shape = {conv1d ? in : out, conv1d ? out : in}, .conv1d = conv1d, .w = o->in[W].x, .g = o->in[W].dx};
    l->b = (Param){.rank = 1, .shape = {out, 1}, .w = o->in[BIAS].x, .g_sum = o->in[BIAS].sum};
    l->a1 = (Param){.rank = 2, .shape = {rank, in}, .w = o->in[A].x, .g = o->in[A].dx};
    l->b1 = (Param){.rank = 2, .shape = {out, rank}, .w = o->in[B].x, .g = o->in[B].dx};
    l->lora = (Lora){.a = &l->a1, .b = &l->b1, .rank = rank, .scale = 0.75};
    l->scratch = nan_reals(2 * N * rank);
    l->l.w = &l->w, l->l.b = bias ? &l->b : NULL, l->l.lora = lora ? &l->lora : NULL;
    o->inputs = lora ? 5 : bias ? 3 : 2;
}

static void test_linear(void) {
    static const size_t sizes[][4] = {{1, 1, 1, 1}, {5, 3, 7, 2}, {9, 17, 20, 3}, {2, 33, 5, 6}};
    for (int kind = 0; kind < 8; kind++) {
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            Op o;
            Layer l;
            linear_op(&o, &l, kind, sizes[i][0], sizes[i][1], sizes[i][2], sizes[i][3]);
            check_op(&o); /* where there is an adapter and no bias, its place stays at zero and must, both ways */
        }
    }
}

/* BEGIN forgets what stood there; a frozen base keeps its gradient untouched and the adapter still learns; dx may be left out. */
static void test_linear_begin(void) {
    for (int kind = 0; kind < 8; kind++) {
        Op o;
        Layer l;
        linear_op(&o, &l, kind, 4, 5, 6, 2);
        real *dx = nan_reals(o.in[X].size), *none = NULL;
        for (int i = W; i < o.inputs; i++)
            if (i != BIAS) nan_fill(o.in[i].dx, o.in[i].size);
        linear_f(&o);
        linear_backward_dx(dx, l.ldx, o.d_out, l.ldy, &l.l, o.N, BEGIN);
        linear_backward_weights(o.d_out, l.ldy, o.in[X].x, l.ldx, &l.l, o.N, BEGIN);
        linear_backward_lora(dx, l.ldx, o.d_out, l.ldy, o.in[X].x, l.ldx, &l.l, o.N, BEGIN, l.scratch);
        CHECK(all_finite(dx, o.in[X].size));
        for (int i = W; i < o.inputs; i++) CHECK(i == BIAS || all_finite(o.in[i].dx, o.in[i].size), "kind %d %s", kind, o.in[i].name);
        real *a = mem_new(l.a1.shape[0] * l.a1.shape[1], sizeof *a), *b = mem_new(l.b1.shape[0] * l.b1.shape[1], sizeof *b);
        real *kept_a = o.in[A].dx, *kept_b = o.in[B].dx;
        l.w.g = NULL, l.b.g_sum = NULL, l.a1.g = a, l.b1.g = b;
        linear_backward_weights(o.d_out, l.ldy, o.in[X].x, l.ldx, &l.l, o.N, BEGIN);
        linear_backward_lora(none, l.ldx, o.d_out, l.ldy, o.in[X].x, l.ldx, &l.l, o.N, BEGIN, l.scratch);
        if (l.l.lora) CHECK(!memcmp(a, kept_a, o.in[A].size * sizeof *a) && !memcmp(b, kept_b, o.in[B].size * sizeof *b));
    }
}

TESTS({"norms", test_norms}, {"norms of heads", test_head_norms}, {"frozen gain", test_frozen_gain}, {"rope", test_rope}, {"activations", test_activations},
      {"cross-entropy", test_cross_entropy}, {"attention", test_attention}, {"linear", test_linear},
      {"linear: begin, frozen", test_linear_begin})
