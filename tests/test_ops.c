/* The layers against their literal definitions in double, and what must hold of them whatever the numbers. Gradients: grad_ops.c. */
#include "../linear.h"
#include "../ops.h"
#include "random.h"
#include "test.h"

/* libm only to compare with, and within a tolerance. */
#include <math.h>

static const size_t widths[] = {1, 2, 3, 15, 16, 17, 31, 32, 33, 100};
enum { WIDTHS = sizeof widths / sizeof *widths, ROWS = 5 };

/* max |got - expected| / max |expected| */
static double error_of(const real *got, const double *expected, size_t n) {
    double worst = 0, size = 0;
    for (size_t i = 0; i < n; i++) {
        double d = fabs((double)got[i] - expected[i]);
        if (!(d <= worst)) worst = d; /* NaN too */
        if (fabs(expected[i]) > size) size = fabs(expected[i]);
    }
    return size > 0 ? worst / size : worst;
}

/* ---- row sums ---- */

/* The definition of simd.h, word for word. */
static real lanes_total(real lane[16]) {
    for (int step = 8; step; step /= 2)
        for (int i = 0; i < step; i++) lane[i] = lane[i] + lane[i + step];
    return lane[0];
}

static void test_row_sums(void) {
    for (size_t n = 0; n < 70; n++) {
        real *x = random_reals(n, 1), *y = random_reals(n, 1), sum[16] = {0}, dot[16] = {0};
        for (size_t i = 0; i < n; i++) sum[i % 16] = sum[i % 16] + x[i], dot[i % 16] = real_fma(x[i], y[i], dot[i % 16]);
        real s = lanes_total(sum), d = lanes_total(dot), got_s = row_sum(x, n), got_d = row_dot(x, y, n);
        CHECK(!memcmp(&s, &got_s, sizeof s), "sum of %zu", n);
        CHECK(!memcmp(&d, &got_d, sizeof d), "dot of %zu", n);
        mem_free(x), mem_free(y);
    }
}

/* A tail that stops is not a tail of zeros: -0 stays -0 in one, and becomes +0 in the other. */
static void test_tail_stops(void) {
    real zero = (real)-0.0, sum[16];
    for (int i = 0; i < 16; i++) sum[i] = 0;
    sum[0] = sum[0] + zero;
    real expected = lanes_total(sum), got = row_sum(&zero, 1);
    CHECK(!memcmp(&expected, &got, sizeof got));
}

/* ---- norms ---- */

static void norm_literal(double *y, const real *x, const real *gain, const real *bias, size_t C, double eps) {
    double mean = 0, var = 0;
    for (size_t i = 0; bias && i < C; i++) mean += (double)x[i] / (double)C;
    for (size_t i = 0; i < C; i++) var += ((double)x[i] - mean) * ((double)x[i] - mean) / (double)C;
    for (size_t i = 0; i < C; i++) y[i] = ((double)x[i] - mean) / sqrt(var + eps) * (double)gain[i] + (bias ? (double)bias[i] : 0);
}

static void test_norms(void) {
    for (int kind = 0; kind < 2; kind++) {
        for (size_t w = 0; w < WIDTHS; w++) {
            size_t C = widths[w], n = ROWS * C;
            real *x = random_reals(n, 3), *gain = random_reals(C, 1), *bias = kind ? random_reals(C, 1) : NULL, *y = nan_reals(n),
                *again = nan_reals(n);
            real *mean = nan_reals(ROWS), *rstd = nan_reals(ROWS);
            double *expected = mem_new(n, sizeof *expected);
            for (size_t r = 0; r < ROWS; r++) norm_literal(expected + r * C, x + r * C, gain, bias, C, 1e-5);
            if (kind) layernorm_forward(y, mean, rstd, x, gain, bias, ROWS, C, (real)1e-5);
            else rmsnorm_forward(y, rstd, x, gain, ROWS, C, (real)1e-5);
            CHECK(error_of(y, expected, n) < 1e-6, "kind %d, C %zu: %.2e", kind, C, error_of(y, expected, n));
            norm_again(again, kind ? mean : NULL, rstd, x, gain, bias, ROWS, C);
            CHECK(!memcmp(y, again, n * sizeof *y), "from the statistics, the same bits");
        }
    }
}

/* Heads are rows: the bits of RMSNorm of [N heads, D], forward and backward; what stands beside them in a row stays. */
static void test_head_norms(void) {
    enum { N = 5, H = 3, D = 22, LD = H * D + 4 };
    real *x = random_reals(N * LD, 2), *y = random_reals(N * LD, 2), *gain = random_reals(D, 1), *flat = nan_reals(N * H * D);
    real *raw = nan_reals(N * H * D), *rstd = nan_reals(N * H), *expected = nan_reals(N * H * D), *r = nan_reals(N * H), *dy = nan_reals(N * H * D);
    real *d = random_reals(N * LD, 1), *dflat = nan_reals(N * H * D), *dx = mem_new(N * H * D, sizeof *dx);
    double sum[D] = {0}, expected_sum[D] = {0};
    memcpy(y, x, N * LD * sizeof *y);
    for (size_t n = 0; n < N; n++) memcpy(flat + n * H * D, x + n * LD, H * D * sizeof *x), memcpy(dflat + n * H * D, d + n * LD, H * D * sizeof *d);
    headnorm_forward(y, LD, raw, rstd, gain, N, H, D, (real)1e-6);
    rmsnorm_forward(expected, r, flat, gain, N * H, D, (real)1e-6);
    headnorm_backward(d, LD, sum, dy, raw, rstd, gain, N, H, D);
    rmsnorm_backward(dx, expected_sum, dflat, flat, gain, r, N * H, D);
    for (size_t n = 0; n < N; n++) {
        CHECK(!memcmp(y + n * LD, expected + n * H * D, H * D * sizeof *y) && !memcmp(d + n * LD, dx + n * H * D, H * D * sizeof *d), "token %zu", n);
        CHECK(!memcmp(y + n * LD + H * D, x + n * LD + H * D, 4 * sizeof *y), "what stands beside them");
    }
    CHECK(!memcmp(raw, flat, N * H * D * sizeof *raw) && !memcmp(rstd, r, N * H * sizeof *r) && !memcmp(sum, expected_sum, sizeof sum));
    headnorm_backward(d, LD, NULL, dy, raw, rstd, gain, N, H, D); /* a frozen gain */
}

/* Without gain and bias rows have mean 0 and mean square 1, and dx is orthogonal to 1 (LayerNorm) and to h. */
static void test_norm_properties(void) {
    for (int kind = 0; kind < 2; kind++) {
        for (size_t w = 3; w < WIDTHS; w++) {
            size_t C = widths[w];
            real *x = random_reals(C, 3), *gain = mem_new(C, sizeof *gain), *bias = mem_new(C, sizeof *bias), *h = nan_reals(C),
                *dx = mem_new(C, sizeof *dx);
            real *dy = random_reals(C, 1), mean, rstd;
            double dgain[100] = {0}, dbias[100] = {0}, sum = 0, squares = 0, along_one = 0, along_h = 0, size = 0;
            for (size_t i = 0; i < C; i++) gain[i] = 1;
            if (kind) layernorm_forward(h, &mean, &rstd, x, gain, bias, 1, C, (real)1e-9);
            else rmsnorm_forward(h, &rstd, x, gain, 1, C, (real)1e-9);
            random_fill(gain, C, 1);
            if (kind) layernorm_backward(dx, dgain, dbias, dy, x, gain, &mean, &rstd, 1, C);
            else rmsnorm_backward(dx, dgain, dy, x, gain, &rstd, 1, C);
            for (size_t i = 0; i < C; i++) {
                double hi = (double)h[i], d = (double)dx[i];
                sum += hi, squares += hi * hi, along_one += d, along_h += d * hi, size += fabs(d);
            }
            bool centred = fabs(sum) < 1e-5 * (double)C && fabs(along_one) < 1e-6 * size;
            CHECK(!kind || centred, "C %zu: sum %.1e, dx along 1 %.1e", C, sum, along_one);
            CHECK(fabs(squares / (double)C - 1) < 1e-5 && fabs(along_h) < 2e-6 * size, "C %zu: mean square %.7f, dx along h %.1e", C,
                  squares / (double)C, along_h);
        }
    }
}

/* Gains' gradients are double chains over rows that a second call continues: two halves are the whole, to the bit. */
static void test_norm_chains(void) {
    enum { N = 7, C = 21 };
    real *x = random_reals(N * C, 1), *gain = random_reals(C, 1), *bias = random_reals(C, 1), *dy = random_reals(N * C, 1),
        *y = nan_reals(N * C);
    real mean[N], rstd[N], *dx = mem_new(N * C, sizeof *dx);
    double whole[2][C] = {{0}}, parts[2][C] = {{0}}, literal[2][C] = {{0}};
    layernorm_forward(y, mean, rstd, x, gain, bias, N, C, (real)1e-5);
    layernorm_backward(dx, whole[0], whole[1], dy, x, gain, mean, rstd, N, C);
    layernorm_backward(dx, parts[0], parts[1], dy, x, gain, mean, rstd, 3, C);
    layernorm_backward(dx, parts[0], parts[1], dy + 3 * C, x + 3 * C, gain, mean + 3, rstd + 3, N - 3, C);
    for (int n = 0; n < N; n++)
        for (int c = 0; c < C; c++) {
            real h = (x[n * C + c] - mean[n]) * rstd[n];
            literal[0][c] += (double)dy[n * C + c] * (double)h, literal[1][c] += (double)dy[n * C + c];
        }
    CHECK(!memcmp(whole, parts, sizeof whole));
    CHECK(!memcmp(whole, literal, sizeof whole));
    double sum[C] = {0}, twice[C] = {0}, expected[C] = {0};
    for (int n = 0; n < N; n++)
        for (int c = 0; c < C; c++) expected[c] += (double)dy[n * C + c];
    bias_backward(sum, dy, C, N, C);
    bias_backward(twice, dy, C, 2, C), bias_backward(twice, dy + 2 * C, C, N - 2, C);
    CHECK(!memcmp(sum, expected, sizeof sum) && !memcmp(sum, twice, sizeof sum));
}

/* ---- rope ---- */

static void turn(double *y, const real *x, size_t D, double position, const float *inv_freq) {
    for (size_t i = 0; i < D / 2; i++) {
        double angle = (double)((float)position * inv_freq[i]), a = (double)x[i], b = (double)x[i + D / 2];
        y[i] = a * cos(angle) - b * sin(angle), y[i + D / 2] = b * cos(angle) + a * sin(angle);
    }
}

static void test_rope(void) {
    enum { CTX = 90, HEADS = 3, LD_MORE = 4 };
    static const size_t sizes[] = {2, 4, 30, 32, 34, 64};
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        size_t D = sizes[k], ld = HEADS * D + LD_MORE, position[ROWS] = {0, 1, 89, 3, 0};
        float inv_freq[32];
        for (size_t i = 0; i < D / 2; i++) inv_freq[i] = 1 / (float)pow(100, 2 * (double)i / (double)D);
        real *table = nan_reals(CTX * D), *x = random_reals(ROWS * ld, 1), *y = mem_new(ROWS * ld, sizeof *y);
        double expected[64], lengths = 0;
        rope_table(table, inv_freq, CTX, D);
        CHECK(all_finite(table, CTX * D));
        memcpy(y, x, ROWS * ld * sizeof *y);
        rope_rotate(y, ld, table, position, ROWS, HEADS, D, false);
        for (size_t n = 0; n < ROWS; n++) {
            for (size_t h = 0; h < HEADS; h++) {
                const real *before = x + n * ld + h * D, *after = y + n * ld + h * D;
                turn(expected, before, D, (double)position[n], inv_freq);
                CHECK(error_of(after, expected, D) < 3e-7, "D %zu: %.2e", D, error_of(after, expected, D));
                for (size_t i = 0; i < D / 2; i++) {
                    double was = hypot((double)before[i], (double)before[i + D / 2]);
                    double now = hypot((double)after[i], (double)after[i + D / 2]);
                    if (fabs(was - now) > lengths) lengths = fabs(was - now);
                }
                if (!position[n]) CHECK(!memcmp(before, after, D * sizeof *x), "position 0 turns nothing");
            }
            CHECK(!memcmp(x + n * ld + HEADS * D, y + n * ld + HEADS * D, LD_MORE * sizeof *x), "what stands beside stays");
        }
        CHECK(lengths < 2e-7, "pairs keep their lengths: %.1e", lengths);
        rope_rotate(y, ld, table, position, ROWS, HEADS, D, true);
        double *back = mem_new(ROWS * ld, sizeof *back);
        for (size_t i = 0; i < ROWS * ld; i++) back[i] = (double)x[i];
        CHECK(error_of(y, back, ROWS * ld) < 3e-7, "there and back");
    }
}

/* q at s and k at t: the score is that of s+d and t+d. */
static void test_rope_is_relative(void) {
    enum { D = 16, CTX = 64 };
    float inv_freq[D / 2];
    for (int i = 0; i < D / 2; i++) inv_freq[i] = 1 / (1 + (float)i);
    real table[CTX * D], *q = random_reals(D, 1), *k = random_reals(D, 1);
    rope_table(table, inv_freq, CTX, D);
    double first = 0, spread = 0, other = 0;
    for (size_t shift = 0; shift <= 50; shift += 10) {
        size_t at[2] = {9 + shift, 4 + shift};
        real pair[2 * D];
        memcpy(pair, q, sizeof pair / 2), memcpy(pair + D, k, sizeof pair / 2);
        rope_rotate(pair, D, table, at, 2, 1, D, false);
        double score = (double)row_dot(pair, pair + D, D);
        if (!shift) first = score;
        if (fabs(score - first) > spread) spread = fabs(score - first);
        if (shift == 10) {
            size_t near[2] = {5, 4};
            memcpy(pair, q, sizeof pair / 2), memcpy(pair + D, k, sizeof pair / 2);
            rope_rotate(pair, D, table, near, 2, 1, D, false);
            other = fabs((double)row_dot(pair, pair + D, D) - first);
        }
    }
    CHECK(spread < 3e-6, "%.1e", spread);
    CHECK(other > 1e-3, "another difference gives another score: %.1e", other);
}

/* ---- activations ---- */

static double gelu(double x) { return 0.5 * x * (1 + tanh(0.7978845608028654 * (x + 0.044715 * x * x * x))); }
static double silu(double x) { return x / (1 + exp(-x)); }

static void test_activations(void) {
    static const size_t sizes[] = {1, 7, 16, 1023, 1024, 1025, 2050};
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        size_t n = sizes[k];
        real *x = random_reals(n, 9), *y = nan_reals(n + 1);
        double *expected = mem_new(n, sizeof *expected);
        for (size_t i = 0; i < n; i++) expected[i] = gelu((double)x[i]);
        gelu_forward(y, x, n);
        CHECK(error_of(y, expected, n) < 1e-6 && y[n] != y[n], "gelu of %zu: %.2e", n, error_of(y, expected, n));
    }
    for (size_t w = 0; w < WIDTHS; w++) {
        size_t F = widths[w];
        real *in = random_reals(ROWS * 2 * F, 9), *y = nan_reals(ROWS * F);
        double *expected = mem_new(ROWS * F, sizeof *expected);
        for (size_t r = 0; r < ROWS; r++)
            for (size_t i = 0; i < F; i++) expected[r * F + i] = silu((double)in[r * 2 * F + i]) * (double)in[r * 2 * F + F + i];
        swiglu_forward(y, in, ROWS, F);
        CHECK(error_of(y, expected, ROWS * F) < 1e-6, "swiglu F %zu: %.2e", F, error_of(y, expected, ROWS * F));
    }
}

/* Far out: 0 and x, no NaN; a NaN stays one. */
static void test_activations_far_out(void) {
    real x[] = {(real)1e4, (real)-1e4, (real)80, (real)-80, (real)0, (real)1e12, (real)-1e12, (real)bits_float(0x7FC00000u)}, y[8], d[8],
        one[8], pair[2], out;
    for (int i = 0; i < 8; i++) one[i] = 1;
    gelu_forward(y, x, 8);
    gelu_backward(d, one, x, 8);
    CHECK(y[0] == x[0] && y[2] == x[2] && y[5] == x[5] && y[4] == 0 && d[0] == 1 && d[4] == (real)0.5);
    CHECK(fabs((double)y[1]) < 1e-20 && fabs((double)y[3]) < 1e-20 && fabs((double)d[3]) < 1e-20, "%g %g %g", (double)y[1], (double)y[3],
          (double)d[3]);
    CHECK(y[7] != y[7]);
    for (int i = 0; i < 8; i++) {
        pair[0] = x[i], pair[1] = 1;
        swiglu_forward(&out, pair, 1, 1);
        if (i == 7) CHECK(out != out);
        else CHECK(x[i] >= 0 ? out == x[i] || i == 4 : fabs((double)out) < 1e-15, "silu(%g) = %g", (double)x[i], (double)out);
    }
}

static void test_add(void) {
    static const size_t sizes[] = {1, 1024, 1030};
    for (size_t k = 0; k < 3; k++) {
        size_t n = sizes[k], wrong = 0;
        real *a = random_reals(n, 1), *b = random_reals(n, 1), *y = nan_reals(n);
        add(y, a, b, n);
        for (size_t i = 0; i < n; i++) wrong += y[i] != a[i] + b[i];
        add(a, a, b, n);
        CHECK(!wrong && !memcmp(a, y, n * sizeof *y), "y may be a");
    }
}

/* ---- cross-entropy ---- */

static void test_cross_entropy(void) {
    static const size_t sizes[] = {1, 2, 3, 15, 16, 17, 257, 5000};
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        size_t V = sizes[k], target = V / 2;
        real *z = random_reals(V, 6), *d = mem_new(V, sizeof *d), weight = (real)0.375;
        double most = -1e300, sum = 0, total = 0, *expected = mem_new(V, sizeof *expected);
        for (size_t i = 0; i < V; i++) most = (double)z[i] > most ? (double)z[i] : most;
        for (size_t i = 0; i < V; i++) sum += exp((double)z[i] - most);
        for (size_t i = 0; i < V; i++) expected[i] = 0.375 * (exp((double)z[i] - most) / sum - (i == target));
        memcpy(d, z, V * sizeof *d);
        double loss = cross_entropy_row(d, V, target, weight), alone = cross_entropy_loss(z, V, target);
        CHECK(loss == alone, "V %zu: with and without gradient the same bits", V);
        CHECK(fabs(loss - (log(sum) - ((double)z[target] - most))) < 1e-6, "V %zu: %.9f", V, loss);
        double worst = 0; /* beside probabilities of up to 1 */
        for (size_t i = 0; i < V; i++) {
            double off = fabs((double)d[i] - expected[i]);
            if (!(off <= worst)) worst = off;
            total += (double)d[i];
        }
        CHECK(worst < 1e-7, "V %zu: %.1e", V, worst);
        CHECK(fabs(total) < 3e-7, "V %zu: the gradient sums to 0, found %.1e", V, total);
        for (size_t i = 0; i < V; i++) z[i] = (real)-7.25;
        CHECK(fabs(cross_entropy_loss(z, V, target) - log((double)V)) < 1e-7 * (1 + log((double)V)), "V %zu: equal logits give log V", V);
    }
}

/* Large logits neither overflow nor lose the loss; weight 0 gives a gradient of nothing; infinities and NaN are not hidden. */
static void test_cross_entropy_edges(void) {
    real z[3] = {(real)1e30, (real)-1e30, 0}, d[3];
    memcpy(d, z, sizeof d);
    CHECK(cross_entropy_row(d, 3, 0, 1) == 0 && d[0] == 0 && d[1] == 0 && d[2] == 0);
    CHECK(fabs(cross_entropy_loss(z, 3, 2) / 1e30 - 1) < 1e-6);
    real w[3] = {1, 2, 3};
    cross_entropy_row(w, 3, 1, 0);
    CHECK(w[0] == 0 && w[1] == 0 && w[2] == 0);
    for (int where = 0; where < 3; where++) {
        real bad[3] = {1, 2, 3};
        bad[where] = (real)bits_float(0x7FC00000u);
        double loss = cross_entropy_loss(bad, 3, 1);
        CHECK(loss != loss, "a NaN at %d shows in the loss", where);
        double same = cross_entropy_row(bad, 3, 1, 1);
        CHECK(same != same);
    }
}

/* ---- linear ---- */

/* y = x Wᵀ + b + s (x Aᵀ) Bᵀ in double; rows of x and y have room beside them. */
static void check_linear(size_t N, size_t in, size_t out, size_t rank, bool conv1d, bool with_bias, Stored stored) {
    size_t ldx = in + 3, ldy = out + 2, wrong = 0;
    real *x = random_reals(N * ldx, 1), *y = nan_reals(N * ldy), *w = random_reals(in * out, 1), *b = random_reals(out, 1);
    real *a1 = random_reals(rank * in + 1, 1), *b1 = random_reals(rank * out + 1, 1), *scratch = nan_reals(N * rank + 1);
    double worst = 0;
    uint16_t *half = mem_new(in * out, sizeof *half);
    for (size_t i = 0; stored != STORED_REAL && i < in * out; i++) {
        half[i] = stored == STORED_F16 ? f16_round((float)w[i]) : bf16_round((float)w[i]);
        w[i] = (real)(stored == STORED_F16 ? f16_widen(half[i]) : bf16_widen(half[i]));
    }
    Param pw = {.rank = 2, .shape = {conv1d ? in : out, conv1d ? out : in}, .conv1d = conv1d, .stored = stored,
                .w = stored == STORED_REAL ? (void *)w : half};
    Param pb = {.rank = 1, .shape = {out, 1}, .w = b};
    Param pa1 = {.rank = 2, .shape = {rank, in}, .w = a1}, pb1 = {.rank = 2, .shape = {out, rank}, .w = b1};
    Lora lora = {.a = &pa1, .b = &pb1, .rank = rank, .scale = (real)0.5};
    Linear l = {.w = &pw, .b = with_bias ? &pb : NULL, .lora = rank ? &lora : NULL, .in = in, .out = out};
    linear_forward(y, ldy, x, ldx, &l, N, scratch);
    for (size_t n = 0; n < N; n++) {
        for (size_t o = 0; o < out; o++) {
            double sum = with_bias ? (double)b[o] : 0;
            for (size_t i = 0; i < in; i++) sum += (double)x[n * ldx + i] * (double)w[conv1d ? i * out + o : o * in + i];
            for (size_t r = 0; r < rank; r++) {
                double u = 0;
                for (size_t i = 0; i < in; i++) u += (double)x[n * ldx + i] * (double)a1[r * in + i];
                sum += 0.5 * u * (double)b1[o * rank + r];
            }
            double d = fabs((double)y[n * ldy + o] - sum);
            if (!(d <= worst)) worst = d;
        }
        for (size_t o = out; o < ldy; o++) wrong += y[n * ldy + o] == y[n * ldy + o];
    }
    CHECK(worst < 1e-5 && !wrong, "%zu x %zu -> %zu, rank %zu, Conv1D %d, bias %d, stored %d: %.1e, %zu beside", N, in, out, rank, conv1d,
          with_bias,
          (int)stored, worst, wrong);
    mem_free(x), mem_free(y), mem_free(w), mem_free(b), mem_free(a1), mem_free(b1), mem_free(scratch), mem_free(half);
}

static void test_linear(void) {
    static const size_t sizes[][4] = {{1, 1, 1, 0}, {1, 5, 3, 1}, {3, 17, 9, 0}, {9, 33, 50, 4}, {2, 64, 49, 8}};
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
        for (int kind = 0; kind < 12; kind++)
            check_linear(sizes[k][0], sizes[k][1], sizes[k][2], sizes[k][3], kind & 1, kind & 2, (Stored)(kind / 4));
}

/* An adapter whose B is 0 leaves the base as it is, bit for bit. */
static void test_adapter_of_nothing(void) {
    enum { N = 3, IN = 19, OUT = 23, RANK = 4 };
    real *x = random_reals(N * IN, 1), *w = random_reals(IN * OUT, 1), *base = nan_reals(N * OUT), *y = nan_reals(N * OUT),
        *scratch = nan_reals(N * RANK);
    Param pw = {.rank = 2, .shape = {OUT, IN}, .w = w}, a = {.rank = 2, .shape = {RANK, IN}, .w = random_reals(RANK * IN, 1)};
    Param b = {.rank = 2, .shape = {OUT, RANK}, .w = mem_new(OUT * RANK, sizeof(real))};
    Lora lora = {.a = &a, .b = &b, .rank = RANK, .scale = 2};
    Linear l = {.w = &pw, .in = IN, .out = OUT};
    linear_forward(base, OUT, x, IN, &l, N, NULL);
    l.lora = &lora;
    linear_forward(y, OUT, x, IN, &l, N, scratch);
    CHECK(!memcmp(base, y, N * OUT * sizeof *y));
    ((real *)b.w)[5] = 1;
    linear_forward(y, OUT, x, IN, &l, N, scratch);
    CHECK(memcmp(base, y, N * OUT * sizeof *y));
}

/* Gradients of weights over 9 rows are those over 4 rows continued by 5, in every bit. */
static void test_linear_continues(void) {
    enum { N = 9, IN = 21, OUT = 18, RANK = 3 };
    real *x = random_reals(N * IN, 1), *dy = random_reals(N * OUT, 1), *scratch = nan_reals(2 * N * RANK);
    for (int conv1d = 0; conv1d < 2; conv1d++) {
        real *g[2][3];
        double sum[2][OUT] = {{0}};
        for (int cut = 0; cut < 2; cut++) {
            random_draws = 1000; /* the same weights both times */
            Param w = {.rank = 2, .shape = {IN, OUT}, .conv1d = conv1d, .w = random_reals(IN * OUT, 1),
                       .g = g[cut][0] = nan_reals(IN * OUT)};
            Param b = {.rank = 1, .shape = {OUT, 1}, .w = random_reals(OUT, 1), .g_sum = sum[cut]};
            Param a1 = {.rank = 2, .shape = {RANK, IN}, .w = random_reals(RANK * IN, 1), .g = g[cut][1] = nan_reals(RANK * IN)};
            Param b1 = {.rank = 2, .shape = {OUT, RANK}, .w = random_reals(RANK * OUT, 1), .g = g[cut][2] = nan_reals(RANK * OUT)};
            Lora lora = {.a = &a1, .b = &b1, .rank = RANK, .scale = (real)0.3};
            Linear l = {.w = &w, .b = &b, .lora = &lora, .in = IN, .out = OUT};
            for (size_t from = 0, to = cut ? 4 : N; from < N; from = to, to = N) {
                Start start = from ? CONTINUE : BEGIN;
                linear_backward_weights(dy + from * OUT, OUT, x + from * IN, IN, &l, to - from, start);
                linear_backward_lora(NULL, IN, dy + from * OUT, OUT, x + from * IN, IN, &l, to - from, start, scratch);
            }
        }
        CHECK(!memcmp(g[0][0], g[1][0], IN * OUT * sizeof(real)) && !memcmp(g[0][1], g[1][1], RANK * IN * sizeof(real)));
        CHECK(!memcmp(g[0][2], g[1][2], RANK * OUT * sizeof(real)) && !memcmp(sum[0], sum[1], sizeof sum[0]));
        CHECK(all_finite(g[0][0], IN * OUT));
    }
}

TESTS({"row sums", test_row_sums}, {"the tail stops", test_tail_stops}, {"norms", test_norms}, {"norms of heads", test_head_norms}, {"norms: properties", test_norm_properties},
      {"norms: chains", test_norm_chains}, {"rope", test_rope}, {"rope: relative", test_rope_is_relative},
      {"activations", test_activations},
      {"activations: far out", test_activations_far_out}, {"add", test_add}, {"cross-entropy", test_cross_entropy},
      {"cross-entropy: edges", test_cross_entropy_edges}, {"linear", test_linear}, {"linear: B = 0", test_adapter_of_nothing},
      {"linear: continues", test_linear_continues})
