/* Attention against its literal definition, alone and in company, from the batch's rows and from a cache. Gradients: grad_ops.c. */
#include "../attention.h"
#include "../parallel.h"
#include "random.h"
#include "test.h"

#include <math.h>

/* A batch of segments with q | k | v side by side in a row, and a little room beside. */
enum { ROOM = 3, MOST_THREADS = 7 };
typedef struct {
    Heads heads;
    size_t tokens, keys, count, ld, segments;
    const size_t *lengths;
    AttentionBlock *blocks;
    real *qkv, *o, *top, *inv_sum, *scratch;
} Batch;

static size_t q_width(const Batch *b) { return b->heads.heads * b->heads.head_dim; }
static size_t kv_width(const Batch *b) { return b->heads.kv_heads * b->heads.head_dim; }
static const real *k_of(const Batch *b) { return b->qkv + q_width(b); }
static const real *v_of(const Batch *b) { return k_of(b) + kv_width(b); }

/* Blocks of n queries from position `first` on. */
static size_t add_blocks(AttentionBlock *out, size_t row, size_t n, size_t first, size_t key_row) {
    size_t count = 0;
    for (size_t t = 0; t < n; t += ATTENTION_ROWS)
        out[count++] = (AttentionBlock){.row = row + t, .rows = n - t < ATTENTION_ROWS ? n - t : ATTENTION_ROWS, .first = first + t,
                                        .key_row = key_row};
    return count;
}

static Batch batch_of(size_t heads, size_t kv_heads, size_t D, const size_t *lengths, size_t segments, double size) {
    Batch b = {.heads = {heads, kv_heads, D, 1 / real_sqrt((real)D)}, .segments = segments, .lengths = lengths};
    for (size_t s = 0; s < segments; s++) {
        b.blocks = mem_resize(b.blocks, b.count + lengths[s], sizeof *b.blocks);
        b.count += add_blocks(b.blocks + b.count, b.tokens, lengths[s], 0, b.tokens);
        b.tokens += lengths[s];
        if (lengths[s] > b.keys) b.keys = lengths[s];
    }
    b.ld = q_width(&b) + 2 * kv_width(&b) + ROOM;
    b.qkv = random_reals(b.tokens * b.ld, size);
    b.o = nan_reals(b.tokens * q_width(&b));
    b.top = nan_reals(b.tokens * heads), b.inv_sum = nan_reals(b.tokens * heads);
    b.scratch = nan_reals(MOST_THREADS * attention_scratch(b.keys, D));
    thread_limit(1); /* unless a test asks for more */
    return b;
}

static void batch_done(Batch *b) {
    mem_free(b->blocks), mem_free(b->qkv), mem_free(b->o), mem_free(b->top), mem_free(b->inv_sum), mem_free(b->scratch);
}

static void forward(Batch *b) {
    attention_forward(b->o, b->top, b->inv_sum, b->qkv, b->ld, k_of(b), v_of(b), b->ld, b->heads, b->blocks, b->count, b->keys, b->scratch);
}

/* o of one query and head: every sum written out, in double. */
static void literal_row(double *o, const Batch *b, size_t start, size_t t, size_t head) {
    size_t D = b->heads.head_dim, kv = head * b->heads.kv_heads / b->heads.heads;
    const real *q = b->qkv + (start + t) * b->ld + head * D;
    double *s = mem_new(t + 1, sizeof *s), most = -1e300, sum = 0;
    for (size_t j = 0; j <= t; j++) {
        const real *k = k_of(b) + (start + j) * b->ld + kv * D;
        for (size_t d = 0; d < D; d++) s[j] += (double)q[d] * (double)k[d];
        s[j] /= sqrt((double)D);
        if (s[j] > most) most = s[j];
    }
    for (size_t j = 0; j <= t; j++) sum += s[j] = exp(s[j] - most);
    for (size_t d = 0; d < D; d++) {
        o[d] = 0;
        for (size_t j = 0; j <= t; j++) o[d] += s[j] / sum * (double)v_of(b)[(start + j) * b->ld + kv * D + d];
    }
    mem_free(s);
}

static void check_literal(size_t heads, size_t kv_heads, size_t D, const size_t *lengths, size_t segments) {
    Batch b = batch_of(heads, kv_heads, D, lengths, segments, 2);
    double *expected = mem_new(D, sizeof *expected), worst = 0;
    forward(&b);
    for (size_t s = 0, start = 0; s < segments; start += lengths[s++])
        for (size_t t = 0; t < lengths[s]; t++)
            for (size_t head = 0; head < heads; head++) {
                literal_row(expected, &b, start, t, head);
                for (size_t d = 0; d < D; d++) {
                    double off = fabs((double)b.o[(start + t) * q_width(&b) + head * D + d] - expected[d]);
                    if (!(off <= worst)) worst = off; /* NaN too */
                }
            }
    CHECK(worst < 3e-6, "%zu/%zu heads, D %zu, first of %zu segments %zu: %.1e", heads, kv_heads, D, segments, lengths[0], worst);
    mem_free(expected), batch_done(&b);
}

static void test_literal(void) {
    static const size_t lengths[] = {1, 2, 15, 16, 17, 31, 32, 33, 63, 64, 65, 97};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        check_literal(2, 2, 8, &lengths[i], 1);
        check_literal(4, 2, 5, &lengths[i], 1);
        check_literal(3, 1, 17, &lengths[i], 1);
        check_literal(1, 1, 1, &lengths[i], 1);
    }
    check_literal(6, 3, 16, (size_t[]){33, 1, 32, 40, 7}, 5);
    check_literal(2, 1, 48, (size_t[]){65, 3}, 2);
}

/* Each segment alone has the bits that it has among others, forward and backward. */
static void test_segments_alone(void) {
    static const size_t lengths[] = {33, 1, 65, 32, 31};
    enum { SEGMENTS = 5 };
    Batch b = batch_of(4, 2, 6, lengths, SEGMENTS, 1);
    size_t q = q_width(&b);
    real *d_o = random_reals(b.tokens * q, 1), *d = nan_reals(b.tokens * b.ld), *alone = nan_reals(b.tokens * b.ld),
        *delta = nan_reals(b.tokens * 4);
    forward(&b);
    CHECK(all_finite(b.o, b.tokens * q));
    attention_backward(d, d + q, d + q + kv_width(&b), delta, d_o, b.o, b.top, b.inv_sum, b.qkv, b.ld, k_of(&b), v_of(&b), b.ld, b.heads,
                       b.blocks,
                       b.count, b.keys, b.scratch);
    for (size_t s = 0, start = 0; s < SEGMENTS; start += lengths[s++]) {
        size_t n = lengths[s], count = (n + ATTENTION_ROWS - 1) / ATTENTION_ROWS, at = start * b.ld, out = start * q;
        AttentionBlock *blocks = mem_new(count, sizeof *blocks);
        real *o = nan_reals(n * q), *top = nan_reals(n * 4), *inv_sum = nan_reals(n * 4);
        add_blocks(blocks, 0, n, 0, 0);
        attention_forward(o, top, inv_sum, b.qkv + at, b.ld, k_of(&b) + at, v_of(&b) + at, b.ld, b.heads, blocks, count, n, b.scratch);
        CHECK(!memcmp(o, b.o + out, n * q * sizeof *o), "segment %zu", s);
        CHECK(!memcmp(top, b.top + start * 4, n * 4 * sizeof *o) && !memcmp(inv_sum, b.inv_sum + start * 4, n * 4 * sizeof *o),
              "segment %zu", s);
        attention_backward(alone + at, alone + at + q, alone + at + q + kv_width(&b), delta, d_o + out, o, top, inv_sum, b.qkv + at, b.ld,
                           k_of(&b) + at,
                           v_of(&b) + at, b.ld, b.heads, blocks, count, n, b.scratch);
        mem_free(blocks), mem_free(o), mem_free(top), mem_free(inv_sum);
    }
    CHECK(!memcmp(d, alone, b.tokens * b.ld * sizeof *d), "gradients too, and the room beside them is untouched");
    for (size_t t = 0; t < b.tokens; t++) CHECK(all_finite(d + t * b.ld, b.ld - ROOM) && d[t * b.ld + b.ld - 1] != d[t * b.ld + b.ld - 1]);
    batch_done(&b);
}

/* Token t changed: no output before it moves by a bit, its own and the later ones do. Gradients flow to no later token. */
static void test_causality(void) {
    static const size_t n = 70, tokens[] = {1, 31, 32, 33, 64, 69};
    for (size_t i = 0; i < sizeof tokens / sizeof *tokens; i++) {
        size_t t = tokens[i];
        Batch b = batch_of(2, 1, 10, &n, 1, 1);
        size_t q = q_width(&b), same = 0;
        real *before = mem_new(n * q, sizeof *before), *d_o = mem_new(n * q, sizeof *d_o), *d = nan_reals(n * b.ld),
            *delta = nan_reals(n * 2);
        forward(&b);
        memcpy(before, b.o, n * q * sizeof *before);
        random_fill(b.qkv + t * b.ld, b.ld, 1);
        nan_fill(b.o, n * q);
        forward(&b);
        CHECK(!memcmp(before, b.o, t * q * sizeof *before), "token %zu changed what stands before it", t);
        for (size_t j = t; j < n; j++) same += !memcmp(before + j * q, b.o + j * q, q * sizeof *before);
        CHECK(!same, "token %zu is not seen by %zu later ones", t, same);
        for (size_t j = 0; j < q; j++) d_o[(t - 1) * q + j] = 1; /* the objective reads token t-1 alone */
        attention_backward(d, d + q, d + q + kv_width(&b), delta, d_o, b.o, b.top, b.inv_sum, b.qkv, b.ld, k_of(&b), v_of(&b), b.ld,
                           b.heads, b.blocks,
                           b.count, b.keys, b.scratch);
        bool zero = true;
        for (size_t j = t; j < n; j++)
            for (size_t c = 0; c < b.ld - ROOM; c++) zero &= d[j * b.ld + c] == 0;
        CHECK(zero, "the future has no gradient from token %zu", t - 1);
        mem_free(before), mem_free(d_o), mem_free(d), mem_free(delta), batch_done(&b);
    }
}

/* The same queries with keys in a cache of another stride, in pieces of any size: the bits of the training rows. */
static void test_cache(void) {
    static const size_t n = 100, chunks[] = {1, 3, 31, 32, 33, 64, 100};
    Batch b = batch_of(4, 2, 6, &n, 1, 1);
    size_t q = q_width(&b), kv = kv_width(&b);
    real *k = nan_reals(128 * kv), *v = nan_reals(128 * kv), *o = nan_reals(n * q),
        *scratch = nan_reals(attention_scratch(128, 6));
    AttentionBlock blocks[8];
    forward(&b);
    for (size_t i = 0; i < sizeof chunks / sizeof *chunks; i++) {
        nan_fill(k, 128 * kv), nan_fill(v, 128 * kv), nan_fill(o, n * q);
        for (size_t t = 0, some; t < n; t += some) {
            some = n - t < chunks[i] ? n - t : chunks[i];
            for (size_t j = t; j < t + some; j++) {
                memcpy(k + j * kv, k_of(&b) + j * b.ld, kv * sizeof *k);
                memcpy(v + j * kv, v_of(&b) + j * b.ld, kv * sizeof *v);
            }
            size_t count = add_blocks(blocks, 0, some, t, 0);
            attention_forward(o + t * q, NULL, NULL, b.qkv + t * b.ld, b.ld, k, v, kv, b.heads, blocks, count, 128, scratch);
        }
        CHECK(!memcmp(o, b.o, n * q * sizeof *o), "in pieces of %zu", chunks[i]);
    }
    batch_done(&b);
}

/* Threads share heads and blocks, never sums. */
static void test_threads(void) {
    static const size_t lengths[] = {65, 40}, threads[] = {1, 2, 3, 7};
    real *first[2] = {0};
    Batch b = batch_of(3, 1, 8, lengths, 2, 1);
    size_t q = q_width(&b), size = b.tokens * b.ld;
    real *d_o = random_reals(b.tokens * q, 1), *delta = nan_reals(b.tokens * 3);
    for (size_t i = 0; i < 4; i++) {
        real *d = nan_reals(size), *o = nan_reals(b.tokens * q);
        thread_limit((int)threads[i]);
        b.o = o;
        forward(&b);
        attention_backward(d, d + q, d + q + kv_width(&b), delta, d_o, b.o, b.top, b.inv_sum, b.qkv, b.ld, k_of(&b), v_of(&b), b.ld,
                           b.heads, b.blocks,
                           b.count, b.keys, b.scratch);
        if (!i) first[0] = o, first[1] = d;
        CHECK(!memcmp(first[0], o, b.tokens * q * sizeof *o) && !memcmp(first[1], d, size * sizeof *d), "%zu threads", threads[i]);
    }
    thread_limit(1);
}

/* Rows of p sum to 1: where all values are 1 the mix is 1, also where scores lie so far apart that most probabilities are +0. */
static void test_rows_sum_to_one(void) {
    static const size_t n = 50;
    static const double sizes[] = {0, 1, 6, 60};
    for (size_t i = 0; i < 4; i++) {
        Batch b = batch_of(2, 1, 4, &n, 1, sizes[i]);
        double worst = 0;
        for (size_t t = 0; t < n; t++)
            for (size_t d = 0; d < 4; d++) b.qkv[t * b.ld + q_width(&b) + kv_width(&b) + d] = 1;
        forward(&b);
        for (size_t j = 0; j < n * q_width(&b); j++) worst = fabs((double)b.o[j] - 1) > worst ? fabs((double)b.o[j] - 1) : worst;
        CHECK(worst < 1e-6, "size %g: %.1e", sizes[i], worst);
        if (!i)
            for (size_t t = 0; t < n; t++) CHECK(fabs((double)b.inv_sum[2 * t] * (double)(t + 1) - 1) < 1e-6 && b.top[2 * t] == 0);
        batch_done(&b);
    }
}

/* A probability below exp(-64) is +0: of a value of 1e30 nothing arrives. */
static void test_cut(void) {
    static const size_t n = 2;
    static const double scores[] = {-63, -64, -65};
    for (int i = 0; i < 3; i++) {
        Batch b = batch_of(1, 1, 1, &n, 1, 1);
        b.qkv[b.ld] = 1;
        b.qkv[1] = (real)scores[i], b.qkv[b.ld + 1] = 0;
        b.qkv[2] = (real)1e30, b.qkv[b.ld + 2] = 0;
        forward(&b);
        CHECK(i == 2 ? b.o[1] == 0 : fabs((double)b.o[1] / (1e30 * exp(scores[i])) - 1) < 1e-6, "score %g: %g", scores[i], (double)b.o[1]);
        batch_done(&b);
    }
}

TESTS({"literal", test_literal}, {"segments alone", test_segments_alone}, {"causality", test_causality}, {"cache", test_cache},
      {"threads", test_threads}, {"rows sum to 1", test_rows_sum_to_one}, {"cut at -64", test_cut})
