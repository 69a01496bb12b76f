#include "ops.h"

#include "parallel.h"
#include "simd.h"

#include <string.h>

/* A loop over a row in steps of sixteen, then once over the tail of `n` lanes: BODY sees i, n and FULL. The tail's lanes beyond the
 * row are neither read nor written, and where BODY adds to an accumulator it goes through v16_first, so those lanes keep their value. */
#define V16_LOAD(p) (n == LANES ? v16_load(p) : v16_load_n(p, n))
#define V16_STORE(p, x) (n == LANES ? v16_store(p, x) : v16_store_n(p, x, n))
#define V16_ACCUMULATE(acc, next) (acc = n == LANES ? (next) : v16_first(next, acc, n))
#define EACH_V16(count) for (size_t i = 0, n; n = (count) - i < LANES ? (count) - i : LANES, i < (count); i += LANES)

real row_sum(const real *x, size_t C) {
    V16 sum = v16_set(0);
    EACH_V16(C) V16_ACCUMULATE(sum, v16_add(sum, V16_LOAD(x + i)));
    return v16_total(sum);
}

real row_dot(const real *x, const real *y, size_t C) {
    V16 sum = v16_set(0);
    EACH_V16(C) V16_ACCUMULATE(sum, v16_fma(V16_LOAD(x + i), V16_LOAD(y + i), sum));
    return v16_total(sum);
}

/* ---- normalisation --------------------------------------------------------------------------------------------------------
 * What     LayerNorm: rows to mean 0 and variance 1, then gain and bias. RMSNorm: rows to mean square 1, then gain
 * Shapes   x, y [N,C]; gain, bias [C]; mean, rstd [N]
 * Forward  h = (x - mean) r,  r = 1/sqrt(var + eps),  y = h gain + bias        (RMSNorm: mean = 0, no bias)
 * Backward with q = dy gain = dL/dh. h_i depends on every x_j through mean and r:
 *              dh_i/dx_j = r (delta_ij - 1/C - h_i h_j / C)                    (RMSNorm: without the 1/C)
 *          hence dx += r (q - mean(q) - h mean(q h)): the two means take away what subtracting the mean and scaling undo.
 *              dgain_c += Σ_n dy h,  dbias_c += Σ_n dy
 * Saved    mean and r per row; h is computed again from x
 * Bits     row sums by lanes; y with one fma (LayerNorm) or one product (RMSNorm); dgain, dbias double chains over rows, exact products
 * Cost     about 8 C flops a row forward, 16 backward; memory-bound
 * Check    dx is orthogonal to 1 and, up to eps, to h
 * Ref      Ba et al. 2016; Zhang & Sennrich 2019 */

/* h = (x - mean) r of lanes [i, i+n) of one row. */
static inline V16 normal(const real *x, size_t i, size_t n, V16 mean, V16 r) { return v16_mul(v16_sub(V16_LOAD(x + i), mean), r); }

static void layernorm_row(real *y, real mean, real rstd, const real *x, const real *gain, const real *bias, size_t C) {
    EACH_V16(C) V16_STORE(y + i, v16_fma(normal(x, i, n, v16_set(mean), v16_set(rstd)), V16_LOAD(gain + i), V16_LOAD(bias + i)));
}

static void rmsnorm_row(real *y, real rstd, const real *x, const real *gain, size_t C) {
    EACH_V16(C) V16_STORE(y + i, v16_mul(v16_mul(V16_LOAD(x + i), v16_set(rstd)), V16_LOAD(gain + i)));
}

void layernorm_forward(real *y, real *mean, real *rstd, const real *x, const real *gain, const real *bias, size_t N, size_t C, real eps) {
    PARALLEL_FOR(N * C > WORTH_THREADS)
    for (size_t row = 0; row < N; row++) {
        const real *xr = x + row * C;
        real mu = row_sum(xr, C) / (real)C;
        V16 squares = v16_set(0);
        EACH_V16(C) {
            V16 d = v16_sub(V16_LOAD(xr + i), v16_set(mu));
            V16_ACCUMULATE(squares, v16_fma(d, d, squares));
        }
        mean[row] = mu;
        rstd[row] = 1 / real_sqrt(v16_total(squares) / (real)C + eps);
        layernorm_row(y + row * C, mean[row], rstd[row], xr, gain, bias, C);
    }
}

void rmsnorm_forward(real *y, real *rstd, const real *x, const real *gain, size_t N, size_t C, real eps) {
    PARALLEL_FOR(N * C > WORTH_THREADS)
    for (size_t row = 0; row < N; row++) {
        const real *xr = x + row * C;
        rstd[row] = 1 / real_sqrt(row_dot(xr, xr, C) / (real)C + eps);
        rmsnorm_row(y + row * C, rstd[row], xr, gain, C);
    }
}

void norm_again(real *y, const real *mean, const real *rstd, const real *x, const real *gain, const real *bias, size_t N, size_t C) {
    PARALLEL_FOR(N * C > WORTH_THREADS)
    for (size_t row = 0; row < N; row++) {
        if (mean) layernorm_row(y + row * C, mean[row], rstd[row], x + row * C, gain, bias, C);
        else rmsnorm_row(y + row * C, rstd[row], x + row * C, gain, C);
    }
}

/* dx of one row of both norms: mean NULL is RMSNorm. */
static void norm_backward_row(real *dx, const real *dy, const real *x, const real *gain, const real *mean, real rstd, size_t C) {
    V16 mu = v16_set(mean ? *mean : 0), r = v16_set(rstd), sum_q = v16_set(0), sum_qh = v16_set(0);
    EACH_V16(C) {
        V16 q = v16_mul(V16_LOAD(dy + i), V16_LOAD(gain + i)), h = normal(x, i, n, mu, r);
        V16_ACCUMULATE(sum_q, v16_add(sum_q, q));
        V16_ACCUMULATE(sum_qh, v16_fma(q, h, sum_qh));
    }
    V16 mean_q = v16_set(mean ? v16_total(sum_q) / (real)C : 0), mean_qh = v16_set(v16_total(sum_qh) / (real)C);
    EACH_V16(C) {
        V16 q = v16_mul(V16_LOAD(dy + i), V16_LOAD(gain + i)), h = normal(x, i, n, mu, r);
        V16 t = v16_sub(v16_sub(q, mean_q), v16_mul(h, mean_qh));
        V16_STORE(dx + i, v16_fma(r, t, V16_LOAD(dx + i)));
    }
}

static void norm_backward_dx(real *dx, const real *dy, const real *x, const real *gain, const real *mean, const real *rstd, size_t N, size_t C) {
    PARALLEL_FOR(N * C > WORTH_THREADS)
    for (size_t row = 0; row < N; row++)
        norm_backward_row(dx + row * C, dy + row * C, x + row * C, gain, mean ? mean + row : NULL, rstd[row], C);
}

/* Threads own blocks of 16 columns; each column is one double chain over rows. */
static void norm_backward_gain(double *dgain, double *dbias, const real *dy, const real *x, const real *mean, const real *rstd, size_t N, size_t C) {
    PARALLEL_FOR(N * C > WORTH_THREADS)
    for (size_t start = 0; start < C; start += LANES) {
        size_t n = C - start < LANES ? C - start : LANES;
        double gain_sum[LANES] = {0}, bias_sum[LANES] = {0};
        for (size_t i = 0; i < n; i++) gain_sum[i] = dgain[start + i], bias_sum[i] = dbias ? dbias[start + i] : 0;
        for (size_t row = 0; row < N; row++) {
            real h[LANES] = {0}, d[LANES] = {0};
            v16_store(h, normal(x + row * C, start, n, v16_set(mean ? mean[row] : 0), v16_set(rstd[row])));
            v16_store(d, n == LANES ? v16_load(dy + row * C + start) : v16_load_n(dy + row * C + start, n));
            for (size_t i = 0; i < LANES; i++) gain_sum[i] += (double)d[i] * (double)h[i];
            if (dbias)
                for (size_t i = 0; i < LANES; i++) bias_sum[i] += (double)d[i];
        }
        for (size_t i = 0; i < n; i++) dgain[start + i] = gain_sum[i];
        for (size_t i = 0; dbias && i < n; i++) dbias[start + i] = bias_sum[i];
    }
}

void layernorm_backward(real *dx, double *dgain, double *dbias, const real *dy, const real *x, const real *gain, const real *mean, const real *rstd,
                        size_t N, size_t C) {
    norm_backward_dx(dx, dy, x, gain, mean, rstd, N, C);
    if (dgain) norm_backward_gain(dgain, dbias, dy, x, mean, rstd, N, C);
}

void rmsnorm_backward(real *dx, double *dgain, const real *dy, const real *x, const real *gain, const real *rstd, size_t N, size_t C) {
    norm_backward_dx(dx, dy, x, gain, NULL, rstd, N, C);
    if (dgain) norm_backward_gain(dgain, NULL, dy, x, NULL, rstd, N, C);
}

/* ---- norms of heads -------------------------------------------------------------------------------------------------------
 * What     Qwen3 takes the RMSNorm of each head of q and of k before they are turned: scores cannot grow without bound
 * Shapes   x, raw [N, heads, D], x with row stride ld; gain [D], the same for all heads; rstd [N, heads]
 * Forward  y = x r gain,  r = 1/sqrt(mean x² + eps)
 * Backward RMSNorm's, a row being one head of one token
 * Saved    x as it was (it lies among q | k | v, and y takes its place) and r
 * Bits     as RMSNorm; dgain chains over tokens, within a token over heads
 * Check    heads are rows: equal to RMSNorm of [N heads, D]
 * Ref      Dehghani et al. 2023 (ViT-22B), section 2 */

void headnorm_forward(real *x, size_t ld, real *raw, real *rstd, const real *gain, size_t N, size_t heads, size_t D, real eps) {
    PARALLEL_FOR(N * heads * D > WORTH_THREADS)
    for (size_t row = 0; row < N; row++) {
        real *from = raw + row * heads * D;
        memcpy(from, x + row * ld, heads * D * sizeof *x);
        for (size_t head = 0; head < heads; head++) {
            real *kept = from + head * D, r = 1 / real_sqrt(row_dot(kept, kept, D) / (real)D + eps);
            rstd[row * heads + head] = r;
            rmsnorm_row(x + row * ld + head * D, r, kept, gain, D);
        }
    }
}

void headnorm_backward(real *d, size_t ld, double *dgain, real *dy, const real *raw, const real *rstd, const real *gain, size_t N, size_t heads, size_t D) {
    PARALLEL_FOR(N * heads * D > WORTH_THREADS)
    for (size_t row = 0; row < N; row++) {
        memcpy(dy + row * heads * D, d + row * ld, heads * D * sizeof *d);
        memset(d + row * ld, 0, heads * D * sizeof *d);
        for (size_t head = 0, at = row * heads; head < heads; head++, at++)
            norm_backward_row(d + row * ld + head * D, dy + at * D, raw + at * D, gain, NULL, rstd[at], D);
    }
    if (dgain) norm_backward_gain(dgain, NULL, dy, raw, NULL, rstd, N * heads, D);
}

/* ---- rotary positions -----------------------------------------------------------------------------------------------------
 * What     turns each pair (x_i, x_{i+D/2}) of a head by the angle position * inv_freq_i: Hugging Face's half-split pairing
 *          (llama2.c pairs neighbours instead; its files are converted when they are read)
 * Shapes   x [N, heads, D], row stride ld; table [ctx, D]: D/2 cosines, then D/2 sines
 * Forward  y_i = x_i c - x_j s,   y_j = x_j c + x_i s,   j = i + D/2
 * Backward a rotation's transpose is the rotation by the opposite angle: the same with -s
 * Saved    nothing
 * Bits     two products and one sum, each rounded; the table as spec.md section 2 says
 * Cost     6 flops a pair
 * Check    lengths of pairs are kept; scores depend on the difference of positions alone
 * Ref      Su et al. 2021, equation 34 */

void rope_table(real *table, const float *inv_freq, size_t ctx, size_t D) {
    PARALLEL_FOR(ctx * D > WORTH_THREADS)
    for (size_t t = 0; t < ctx; t++) {
        for (size_t i = 0; i < D / 2; i++) {
            float angle = (float)t * inv_freq[i];
            table[t * D + i] = (real)(float)d_cos((double)angle);
            table[t * D + D / 2 + i] = (real)(float)d_sin((double)angle);
        }
    }
}

void rope_rotate(real *x, size_t ld, const real *table, const size_t *position, size_t N, size_t heads, size_t D, bool inverse) {
    size_t half = D / 2;
    PARALLEL_FOR(N * heads * D > WORTH_THREADS)
    for (size_t row = 0; row < N; row++) {
        const real *cosines = table + position[row] * D, *sines = cosines + half;
        for (size_t head = 0; head < heads; head++) {
            real *a = x + row * ld + head * D, *b = a + half;
            EACH_V16(half) {
                V16 c = V16_LOAD(cosines + i), s = V16_LOAD(sines + i), p = V16_LOAD(a + i), q = V16_LOAD(b + i);
                if (inverse) s = v16_sub(v16_set(0), s);
                V16_STORE(a + i, v16_sub(v16_mul(p, c), v16_mul(q, s)));
                V16_STORE(b + i, v16_add(v16_mul(q, c), v16_mul(p, s)));
            }
        }
    }
}

/* ---- activations ------------------------------------------------------------------------------------------------------------
 * What     GELU, tanh form:  0.5 x (1 + tanh u) = x σ(2u),  u = sqrt(2/π) (x + 0.044715 x³): the sigmoid says it without cancellation
 *          SwiGLU:           silu(gate) up,  silu(z) = z σ(z)
 * Shapes   GELU [n]; SwiGLU y [N,F], in [N,2F] = gate | up
 * Forward  σ(z) = 1/(1 + exp(-z)), z clamped to ±64
 * Backward GELU: with z = 2u = x (a + b x²):  dy/dx = σ + x σ (1-σ) (a + 3 b x²)
 *          SwiGLU: dup = dy silu(gate);  dgate = dy up σ (1 + gate (1-σ))
 * Saved    the input
 * Bits     elementwise
 * Cost     one exp and one division an element
 * Ref      Hendrycks & Gimpel 2016; Shazeer 2020 */

static inline V16 sigmoid(V16 z) {
    z = v16_min(v16_set(64), v16_max(v16_set(-64), z)); /* in this order NaN stays NaN */
    return v16_div(v16_set(1), v16_add(v16_set(1), v16_exp(v16_sub(v16_set(0), z))));
}

static const real gelu_a = (real)1.5957691216057308, gelu_b = (real)0.07135481627260025, gelu_3b = (real)0.21406444881780075;
enum { CHUNK = 1024 }; /* elements a thread takes at a time: a multiple of LANES */

void gelu_forward(real *y, const real *x, size_t count) {
    PARALLEL_FOR(count > WORTH_THREADS)
    for (size_t start = 0; start < count; start += CHUNK) {
        size_t end = count - start < CHUNK ? count - start : CHUNK;
        EACH_V16(end) {
            V16 v = V16_LOAD(x + start + i);
            V16 z = v16_mul(v, v16_fma(v16_set(gelu_b), v16_mul(v, v), v16_set(gelu_a)));
            V16_STORE(y + start + i, v16_mul(v, sigmoid(z)));
        }
    }
}

void gelu_backward(real *dx, const real *dy, const real *x, size_t count) {
    PARALLEL_FOR(count > WORTH_THREADS)
    for (size_t start = 0; start < count; start += CHUNK) {
        size_t end = count - start < CHUNK ? count - start : CHUNK;
        EACH_V16(end) {
            V16 v = V16_LOAD(x + start + i), v2 = v16_mul(v, v);
            V16 s = sigmoid(v16_mul(v, v16_fma(v16_set(gelu_b), v2, v16_set(gelu_a))));
            V16 slope = v16_fma(v16_set(gelu_3b), v2, v16_set(gelu_a));
            V16 d = v16_fma(v16_mul(v, v16_mul(s, v16_sub(v16_set(1), s))), slope, s);
            V16_STORE(dx + start + i, v16_mul(V16_LOAD(dy + start + i), d));
        }
    }
}

void swiglu_forward(real *y, const real *in, size_t N, size_t F) {
    PARALLEL_FOR(N * F > WORTH_THREADS)
    for (size_t row = 0; row < N; row++) {
        const real *gate = in + row * 2 * F, *up = gate + F;
        EACH_V16(F) {
            V16 g = V16_LOAD(gate + i);
            V16_STORE(y + row * F + i, v16_mul(v16_mul(g, sigmoid(g)), V16_LOAD(up + i)));
        }
    }
}

void swiglu_backward(real *din, const real *dy, const real *in, size_t N, size_t F) {
    PARALLEL_FOR(N * F > WORTH_THREADS)
    for (size_t row = 0; row < N; row++) {
        const real *gate = in + row * 2 * F, *up = gate + F;
        real *dgate = din + row * 2 * F, *dup = dgate + F;
        EACH_V16(F) {
            V16 g = V16_LOAD(gate + i), d = V16_LOAD(dy + row * F + i), s = sigmoid(g), u = V16_LOAD(up + i);
            V16_STORE(dup + i, v16_mul(d, v16_mul(g, s)));
            V16 slope = v16_mul(s, v16_fma(g, v16_sub(v16_set(1), s), v16_set(1)));
            V16_STORE(dgate + i, v16_mul(v16_mul(d, u), slope));
        }
    }
}

void add(real *y, const real *a, const real *b, size_t count) {
    PARALLEL_FOR(count > WORTH_THREADS)
    for (size_t start = 0; start < count; start += CHUNK) {
        size_t end = start + CHUNK < count ? start + CHUNK : count;
        for (size_t i = start; i < end; i++) y[i] = a[i] + b[i];
    }
}

/* ---- cross-entropy ----------------------------------------------------------------------------------------------------------
 * What     -log softmax(z)[target] of one row, and its gradient in the row's place
 * Shapes   z [V]
 * Forward  loss = log Σ exp(z - m) - (z_target - m),  m = max z
 * Backward dz = weight (p - [i = target]),  p = exp(z - m) / Σ
 * Saved    nothing: logits live for a block of rows only
 * Bits     Σ by lanes; the logarithm and the differences in double; p is one product with 1/Σ
 * Cost     one exp an element
 * Check    the gradient sums to 0; at equal logits the loss is log V */

static real row_max(const real *z, size_t V) {
    V16 most = v16_set(z[0]);
    /* a NaN may be passed over here; it shows in the sum that follows */
    EACH_V16(V) V16_ACCUMULATE(most, v16_max(most, V16_LOAD(z + i)));
    return v16_largest(most);
}

double cross_entropy_row(real *z, size_t V, size_t target, real weight) {
    real m = row_max(z, V), z_target = z[target];
    V16 sum = v16_set(0);
    EACH_V16(V) {
        V16 e = v16_exp(v16_sub(V16_LOAD(z + i), v16_set(m)));
        V16_STORE(z + i, e);
        V16_ACCUMULATE(sum, v16_add(sum, e));
    }
    real total = v16_total(sum), r = 1 / total, p_target = z[target] * r;
    EACH_V16(V) V16_STORE(z + i, v16_mul(v16_mul(V16_LOAD(z + i), v16_set(r)), v16_set(weight)));
    z[target] = (p_target - 1) * weight;
    return d_log((double)total) - ((double)z_target - (double)m);
}

double cross_entropy_loss(const real *z, size_t V, size_t target) {
    real m = row_max(z, V);
    V16 sum = v16_set(0);
    EACH_V16(V) V16_ACCUMULATE(sum, v16_add(sum, v16_exp(v16_sub(V16_LOAD(z + i), v16_set(m)))));
    return d_log((double)v16_total(sum)) - ((double)z[target] - (double)m);
}

/* ---- distillation -----------------------------------------------------------------------------------------------------------
 * What     KL(q‖p) = Σ q log(q/p) of one row, q = softmax(t) of the teacher, p = softmax(z), and its gradient
 * Shapes   z, t, dz [V]
 * Forward  Σ q_i ((t_i - m_t - log Σ_t) - (z_i - m_z - log Σ_z))
 * Backward dz += weight (p - q): of Σ q log p only log p depends on z, and Σ q = 1
 * Saved    nothing
 * Bits     p and q as in cross-entropy; logarithms, differences and the sum in double, by 16 lanes and the tree
 * Cost     four exp an element
 * Check    equal logits: exactly 0, with gradient exactly 0; never below 0 but for rounding
 * Ref      Hinton et al. 2015 */

typedef struct {
    real m, r;                        /* largest, 1/Σ */
    double log_sum;
} Softmax;

static Softmax softmax_of(const real *z, size_t V) {
    real m = row_max(z, V);
    V16 sum = v16_set(0);
    EACH_V16(V) V16_ACCUMULATE(sum, v16_add(sum, v16_exp(v16_sub(V16_LOAD(z + i), v16_set(m)))));
    real total = v16_total(sum);
    return (Softmax){m, 1 / total, d_log((double)total)};
}

double kl_row(real *dz, const real *z, const real *teacher, size_t V, real weight) {
    Softmax a = softmax_of(z, V), b = softmax_of(teacher, V);
    double lane[LANES] = {0};
    EACH_V16(V) {
        V16 p = v16_mul(v16_exp(v16_sub(V16_LOAD(z + i), v16_set(a.m))), v16_set(a.r));
        V16 q = v16_mul(v16_exp(v16_sub(V16_LOAD(teacher + i), v16_set(b.m))), v16_set(b.r));
        V16_STORE(dz + i, v16_fma(v16_set(weight), v16_sub(p, q), V16_LOAD(dz + i)));
        real share[LANES];
        v16_store(share, q);
        for (size_t j = 0; j < n; j++) {
            double of_q = (double)teacher[i + j] - (double)b.m - b.log_sum, of_p = (double)z[i + j] - (double)a.m - a.log_sum;
            lane[j] += (double)share[j] * (of_q - of_p);
        }
    }
    for (size_t step = LANES / 2; step; step /= 2)
        for (size_t j = 0; j < step; j++) lane[j] += lane[j + step];
    return lane[0];
}
