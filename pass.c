/* pass: one forward and one backward through the model, and what they keep. Declared in model.h. */
#include "pass.h"

#include "lora.h"
#include "ops.h"
#include "parallel.h"
#include "simd.h"

#include <assert.h>
#include <string.h>

/* ---- storage ----------------------------------------------------------------------------------------------------------------
 * Kept for backward, in reals a token:  C (x) + Q+2K (qkv) + Q (o) + 2H (softmax statistics) + C (mid) + up to 4 (norm statistics) + in
 * for each layer, C = dim, Q = heads*D, K = kv_heads*D, in = 2F (Llama) or F (GPT-2); with norms of heads also Q+K (q and k before them)
 * and a number a head. With recompute only x is kept for each layer and
 * the rest once. Outputs of the norms and of the activation are computed again from these. */

typedef struct {
    unsigned char *base;              /* NULL: only count */
    size_t used;
} Arena;

static void *take(Arena *a, size_t count, size_t size) {
    size_t at = a->used;
    a->used = size_add(at, (size_mul(count, size, "activations") + 63) / 64 * 64, "activations");
    return a->base ? a->base + at : NULL;
}

static real *take_real(Arena *a, size_t count) { return take(a, count, sizeof(real)); }

/* What the model's adapters need: the largest rank, the widest input that is dropped from, whether there is DoRA. */
static void carve_adapting(Arena *a, Adapting *t, const Model *m, const Widths *w, size_t N, bool backward) {
    size_t rank = 0, dropped = 0, widest = w->qkv > w->in ? w->qkv : w->in, dora = 0;
    for (size_t i = 0; i < m->config.layers; i++) {
        Linear *list[BLOCK_LINEARS];
        size_t count = block_linears(&m->blocks[i], list);
        for (size_t j = 0; j < count; j++) {
            const Lora *l = list[j]->lora;
            if (!l) continue;
            if (l->rank > rank) rank = l->rank;
            if (l->drop_below && list[j]->in > dropped) dropped = list[j]->in;
            if (l->magnitude) dora = widest > w->dim ? widest : w->dim;
        }
    }
    t->uv = take_real(a, 2 * N * rank);
    if (!backward) return;
    t->x = take_real(a, N * dropped);
    t->kept = take(a, N * dropped, 1);
    t->dz = take_real(a, N * dora);
}

/* ---- where backward ends ----------------------------------------------------------------------------------------------------
 * Places in forward order: 0 the embedding, then six of each block, then the last norm, then the head. */

enum { NORM1, QKV, OUT, NORM2, IN, DOWN, BLOCK_PLACES };

static size_t place_of(size_t layer, int part) { return 1 + layer * BLOCK_PLACES + (size_t)part; }

static bool trained(const Param *p) { return p && !p->frozen; }

static bool linears_trained(const Linear *l, int count) {
    for (int i = 0; i < count; i++) {
        const Lora *a = l[i].lora;
        if (trained(l[i].w) || trained(l[i].b) || (a && (trained(a->a) || trained(a->b) || trained(a->magnitude)))) return true;
    }
    return false;
}

static bool norm_trained(const Norm *n) { return trained(n->w) || trained(n->b); }

static size_t lowest_place(const Model *m) {
    if (trained(m->tok) || trained(m->pos) || trained(m->tok_rows.rows)) return 0;
    for (size_t i = 0; i < m->config.layers; i++) {
        const Block *b = &m->blocks[i];
        bool qkv = linears_trained(b->qkv, b->qkv_count) || norm_trained(&b->q_norm) || norm_trained(&b->k_norm);
        const bool parts[BLOCK_PLACES] = {norm_trained(&b->norm1), qkv, linears_trained(&b->out, 1), norm_trained(&b->norm2),
                                          linears_trained(b->in, b->in_count), linears_trained(&b->down, 1)};
        for (int part = 0; part < BLOCK_PLACES; part++)
            if (parts[part]) return place_of(i, part);
    }
    return place_of(m->config.layers, 0) + !norm_trained(&m->norm_f);
}

static void carve_kept(Arena *a, Kept *k, const Widths *w, size_t N, bool backward) {
    k->qkv = take_real(a, N * w->qkv);
    k->o = take_real(a, N * w->q);
    k->mid = take_real(a, N * w->dim);
    k->in = take_real(a, N * w->in);
    k->mean1 = take_real(a, N), k->rstd1 = take_real(a, N);
    k->mean2 = take_real(a, N), k->rstd2 = take_real(a, N);
    k->raw = take_real(a, N * w->raw), k->rstd_heads = take_real(a, N * w->heads_raw);
    if (backward) k->top = take_real(a, N * w->heads), k->inv_sum = take_real(a, N * w->heads);
}

static void carve(Arena *a, Pass *p, const Model *m, size_t N, bool backward, bool recompute) {
    const Config *c = &m->config;
    const Widths *w = &p->width;
    size_t layers = c->layers, threads = (size_t)thread_count();
    /* layers below the first that is trained keep nothing, like all layers without backward */
    size_t first = !backward ? layers + 1 : p->lowest ? (p->lowest - 1) / BLOCK_PLACES : 0;
    p->x = take(a, layers + 1, sizeof *p->x);
    p->kept = take(a, layers, sizeof *p->kept);
    Kept counted = {0};
    real *stream[2] = {NULL, NULL};
    for (size_t i = 0; i <= layers; i++) {
        /* where nothing is kept, two buffers of the residual stream take turns */
        real *x = i >= first || i < 2 ? take_real(a, N * c->dim) : stream[i % 2];
        if (i < 2) stream[i] = x;
        if (a->base) p->x[i] = x;
    }
    for (size_t i = 0; i < layers; i++) {
        if (i == 0 || (i > first && !recompute)) carve_kept(a, a->base ? &p->kept[i] : &counted, w, N, backward);
        else if (a->base) p->kept[i] = p->kept[0];
    }
    p->mean_f = take_real(a, N), p->rstd_f = take_real(a, N);
    p->final = take_real(a, N * c->dim);
    p->h = take_real(a, N * c->dim);
    p->act = take_real(a, N * c->ffn);
    carve_adapting(a, &p->adapting, m, w, N, backward);
    p->attention = take_real(a, threads * attention_scratch(p->keys, c->head_dim));
    p->blocks = take(a, N, sizeof *p->blocks);
    p->position = take(a, N, sizeof *p->position);
    p->head_rows = head_rows(c->vocab) < N ? head_rows(c->vocab) : N;
    p->logits = take_real(a, p->head_rows * c->vocab);
    p->rows = take_real(a, p->head_rows * c->dim);
    p->supervised = take(a, N, sizeof *p->supervised);
    p->losses = take(a, N, sizeof *p->losses);
    if (!backward) return;
    p->drows = take_real(a, p->head_rows * c->dim);
    p->dx = take_real(a, N * c->dim), p->dh = take_real(a, N * c->dim);
    p->dact = take_real(a, N * c->ffn), p->din = take_real(a, N * w->in);
    p->dqkv = take_real(a, N * w->qkv), p->d_o = take_real(a, N * w->q);
    p->delta = take_real(a, N * c->heads);
    p->d_raw = take_real(a, N * w->raw);
    p->row_of = take(a, c->vocab, sizeof *p->row_of);
    p->columns = take_real(a, p->head_rows * (m->config.tied ? m->tok_rows : m->head_rows).count);
}

static void measure(Pass *p, const Model *m, size_t tokens, bool backward, size_t keys) {
    const Config *c = &m->config;
    size_t q = c->heads * c->head_dim, kv = c->kv_heads * c->head_dim;
    *p = (Pass){.tokens = tokens, .backward = backward, .keys = keys, .lowest = lowest_place(m)};
    p->width = (Widths){.dim = c->dim, .q = q, .kv = kv, .qkv = q + 2 * kv, .heads = c->heads, .in = m->blocks[0].in_count == 2 ? 2 * c->ffn : c->ffn};
    if (c->qk_norm) p->width.raw = q + kv, p->width.heads_raw = c->heads + c->kv_heads;
    p->shape = (Heads){.heads = c->heads, .kv_heads = c->kv_heads, .head_dim = c->head_dim, .scale = 1 / real_sqrt((real)c->head_dim)};
}

static size_t keys_of(const Model *m, size_t tokens) { return tokens < m->config.ctx ? tokens : m->config.ctx; }

size_t pass_bytes(const Model *m, size_t tokens, bool backward, bool recompute) {
    Pass p;
    Arena counter = {0};
    measure(&p, m, tokens, backward, keys_of(m, tokens));
    carve(&counter, &p, m, tokens, backward, recompute);
    return counter.used;
}

Pass *pass_new_keys(const Model *m, size_t tokens, bool backward, bool recompute, size_t keys) {
    Pass *p = mem_new(1, sizeof *p);
    Arena arena = {0};
    measure(p, m, tokens, backward, keys);
    carve(&arena, p, m, tokens, backward, recompute);
    p->memory = arena.base = mem_new(arena.used, 1);
    arena.used = 0;
    p->recompute = recompute && backward;
    carve(&arena, p, m, tokens, backward, recompute);
    return p;
}

Pass *pass_new(const Model *m, size_t tokens, bool backward, bool recompute) {
    return pass_new_keys(m, tokens, backward, recompute, keys_of(m, tokens));
}

void pass_free(Pass *p) {
    if (!p) return;
    teacher_free(&p->teacher);
    mem_free(p->memory), mem_free(p->embed), mem_free(p);
}

/* ---- layers as the model uses them ---- */

static void norm_forward(real *y, real *mean, real *rstd, const real *x, const Norm *n, const Config *c, size_t N) {
    if (n->b) layernorm_forward(y, mean, rstd, x, param_real(n->w), param_real(n->b), N, c->dim, (real)c->norm_eps);
    else rmsnorm_forward(y, rstd, x, param_real(n->w), N, c->dim, (real)c->norm_eps);
}

static void norm_recall(real *y, const real *mean, const real *rstd, const real *x, const Norm *n, const Config *c, size_t N) {
    norm_again(y, n->b ? mean : NULL, rstd, x, param_real(n->w), n->b ? param_real(n->b) : NULL, N, c->dim);
}

static void norm_backward(real *dx, const real *dy, const real *x, const real *mean, const real *rstd, const Norm *n, const Config *c, size_t N) {
    if (n->b) layernorm_backward(dx, n->w->g_sum, n->b->g_sum, dy, x, param_real(n->w), mean, rstd, N, c->dim);
    else rmsnorm_backward(dx, n->w->g_sum, dy, x, param_real(n->w), rstd, N, c->dim);
}

/* Linears with one input and their outputs side by side: q | k | v, gate | up. */
static void forward_joined(real *y, size_t width, const real *x, size_t dim, const Linear *l, int count, size_t N, const Adapting *t) {
    for (int i = 0; i < count; i++, y += l[i - 1].out) adapted_forward(y, width, x, dim, &l[i], N, t);
}

static void activate(real *y, const real *in, const Block *b, size_t N, size_t F) {
    if (b->in_count == 2) swiglu_forward(y, in, N, F);
    else gelu_forward(y, in, N * F);
}

/* Of each head of q and of k; where the model has none, nothing. */
static void head_norms_forward(const Model *m, const Block *b, Kept *k, const Widths *w, size_t N) {
    const Config *c = &m->config;
    if (!b->q_norm.w) return;
    headnorm_forward(k->qkv, w->qkv, k->raw, k->rstd_heads, param_real(b->q_norm.w), N, c->heads, c->head_dim, (real)c->norm_eps);
    headnorm_forward(k->qkv + w->q, w->qkv, k->raw + N * w->q, k->rstd_heads + N * c->heads, param_real(b->k_norm.w), N, c->kv_heads, c->head_dim,
                     (real)c->norm_eps);
}

static void head_norms_backward(const Model *m, const Block *b, const Kept *k, const Widths *w, real *dqkv, real *scratch, size_t N) {
    const Config *c = &m->config;
    if (!b->q_norm.w) return;
    headnorm_backward(dqkv, w->qkv, b->q_norm.w->g_sum, scratch, k->raw, k->rstd_heads, param_real(b->q_norm.w), N, c->heads, c->head_dim);
    headnorm_backward(dqkv + w->q, w->qkv, b->k_norm.w->g_sum, scratch + N * w->q, k->raw + N * w->q, k->rstd_heads + N * c->heads,
                      param_real(b->k_norm.w), N, c->kv_heads, c->head_dim);
}

/* q and k by their angles; inverse: back again. */
static void rotate(const Model *m, const Pass *p, real *qkv, size_t N, bool inverse) {
    if (m->rope) rope_rotate(qkv, p->width.qkv, m->rope, p->position, N, m->config.heads + m->config.kv_heads, m->config.head_dim, inverse);
}

void block_forward(const Model *m, Pass *p, size_t layer, size_t N, real *cache_k, real *cache_v) {
    const Config *c = &m->config;
    const Block *b = &m->blocks[layer];
    const Widths *w = &p->width;
    Kept *k = &p->kept[layer];
    real *x = p->x[layer], *next = p->x[layer + 1];
    norm_forward(p->h, k->mean1, k->rstd1, x, &b->norm1, c, N);
    forward_joined(k->qkv, w->qkv, p->h, c->dim, b->qkv, b->qkv_count, N, &p->adapting);
    head_norms_forward(m, b, k, w, N);
    rotate(m, p, k->qkv, N, false);
    const real *keys = k->qkv + w->q, *values = keys + w->kv;
    size_t ldkv = w->qkv;
    if (cache_k) { /* decoding: the new keys and values join the old ones */
        for (size_t i = 0; i < p->block_count; i++) {
            AttentionBlock a = p->blocks[i];
            real *to_k = cache_k + (a.key_row + a.first) * w->kv, *to_v = cache_v + (a.key_row + a.first) * w->kv;
            for (size_t t = 0; t < a.rows; t++) {
                memcpy(to_k + t * w->kv, keys + (a.row + t) * w->qkv, w->kv * sizeof *keys);
                memcpy(to_v + t * w->kv, values + (a.row + t) * w->qkv, w->kv * sizeof *values);
            }
        }
        keys = cache_k, values = cache_v, ldkv = w->kv;
    }
    attention_forward(k->o, k->top, k->inv_sum, k->qkv, w->qkv, keys, values, ldkv, p->shape, p->blocks, p->block_count, p->keys, p->attention);
    adapted_forward(p->h, c->dim, k->o, w->q, &b->out, N, &p->adapting);
    add(k->mid, x, p->h, N * c->dim);
    norm_forward(p->h, k->mean2, k->rstd2, k->mid, &b->norm2, c, N);
    forward_joined(k->in, w->in, p->h, c->dim, b->in, b->in_count, N, &p->adapting);
    activate(p->act, k->in, b, N, c->ffn);
    adapted_forward(p->h, c->dim, p->act, c->ffn, &b->down, N, &p->adapting);
    add(next, k->mid, p->h, N * c->dim);
}

void embed(const Model *m, Pass *p, const int32_t *ids, size_t N) {
    size_t C = m->config.dim;
    PARALLEL_FOR(N * C > WORTH_THREADS)
    for (size_t n = 0; n < N; n++) {
        real *x = p->x[0] + n * C;
        for (size_t i = 0; i < C; i++) x[i] = stored_value(m->tok->w, m->tok->stored, (size_t)ids[n] * C + i);
        for (size_t i = 0; m->pos && i < C; i++) x[i] += stored_value(m->pos->w, m->pos->stored, p->position[n] * C + i);
    }
}

/* ---- batches ---- */

void batch_add(Batch *b, const int32_t *ids, const int32_t *targets, const float *weights, size_t length) {
    if (b->tokens + length > b->token_room) {
        b->token_room = 2 * (b->tokens + length);
        b->ids = mem_resize(b->ids, b->token_room, sizeof *b->ids);
        b->targets = mem_resize(b->targets, b->token_room, sizeof *b->targets);
        b->weights = mem_resize(b->weights, b->token_room, sizeof *b->weights);
        if (b->keys) b->keys = mem_resize(b->keys, b->token_room, sizeof *b->keys);
    }
    if (b->segment_count == b->segment_room) {
        b->segment_room = 2 * b->segment_room + 16;
        b->segments = mem_resize(b->segments, b->segment_room, sizeof *b->segments);
    }
    memcpy(b->ids + b->tokens, ids, length * sizeof *ids);
    memcpy(b->targets + b->tokens, targets, length * sizeof *targets);
    for (size_t i = 0; i < length; i++) b->weights[b->tokens + i] = weights ? weights[i] : 1;
    b->segments[b->segment_count++] = (Segment){.row = b->tokens, .length = length};
    b->tokens += length;
}

void batch_key(Batch *b, size_t first, uint64_t sample) {
    if (!b->keys) b->keys = mem_new(b->token_room, sizeof *b->keys);
    for (size_t n = first; n < b->tokens; n++) b->keys[n] = sample << 32 | (uint32_t)(n - first);
}

void batch_distil(Batch *b, size_t first) {
    for (size_t i = first; i < b->segment_count; i++) b->segments[i].distilled = true;
}

size_t batch_distilled(const Batch *b) {
    size_t tokens = 0;
    for (size_t i = 0; i < b->segment_count; i++) tokens += b->segments[i].distilled ? b->segments[i].length : 0;
    return tokens;
}

void batch_add_segment(Batch *b, const Batch *from, size_t i) {
    Segment s = from->segments[i];
    size_t row = b->tokens;
    batch_add(b, from->ids + s.row, from->targets + s.row, from->weights + s.row, s.length);
    b->segments[b->segment_count - 1].distilled = s.distilled;
    b->seed = from->seed, b->step = from->step;
    if (!from->keys) return;
    if (!b->keys) b->keys = mem_new(b->token_room, sizeof *b->keys);
    memcpy(b->keys + row, from->keys + s.row, s.length * sizeof *b->keys);
}

void batch_clear(Batch *b) { b->tokens = b->segment_count = 0; }

void batch_free(Batch *b) {
    mem_free(b->segments), mem_free(b->ids), mem_free(b->targets), mem_free(b->weights), mem_free(b->keys);
    *b = (Batch){0};
}

double batch_weight(const Batch *b) {
    double sum = 0;
    for (size_t n = 0; n < b->tokens; n++) sum += b->targets[n] >= 0 ? (double)b->weights[n] : 0;
    return sum;
}

/* ---- forward ---- */

/* Cuts each segment into blocks of queries and numbers the positions. */
static void lay_out(Pass *p, const Batch *b, size_t ctx) {
    assert(b->tokens <= p->tokens);
    p->block_count = 0;
    for (size_t i = 0; i < b->segment_count; i++) {
        Segment s = b->segments[i];
        assert(s.length >= 1 && s.length <= ctx && s.length <= p->keys);
        (void)ctx;
        for (size_t t = 0; t < s.length; t++) p->position[s.row + t] = t;
        for (size_t t = 0; t < s.length; t += ATTENTION_ROWS) {
            size_t rows = s.length - t < ATTENTION_ROWS ? s.length - t : ATTENTION_ROWS;
            p->blocks[p->block_count++] = (AttentionBlock){.row = s.row + t, .rows = rows, .first = t, .key_row = s.row};
        }
    }
}

void finish_forward(const Model *m, Pass *p, size_t N) {
    norm_forward(p->final, p->mean_f, p->rstd_f, p->x[m->config.layers], &m->norm_f, &m->config, N);
}

void model_forward(const Model *m, Pass *p, const Batch *b) {
    lay_out(p, b, m->config.ctx);
    p->adapting.keys = p->backward ? b->keys : NULL, p->adapting.seed = b->seed, p->adapting.step = b->step;
    embed(m, p, b->ids, b->tokens);
    for (size_t i = 0; i < m->config.layers; i++) block_forward(m, p, i, b->tokens, NULL, NULL);
    finish_forward(m, p, b->tokens);
}

void model_logits(const Model *m, const Pass *p, size_t row, size_t n, real *logits) {
    size_t C = m->config.dim;
    linear_forward(logits, m->config.vocab, p->final + row * C, C, &m->head, n, NULL);
}

/* ---- the head and the loss: logits live for head_rows supervised tokens at a time ---- */

static bool is_supervised(const Batch *b, size_t n) { return b->weights[n] != 0 && b->targets[n] >= 0; }

/* taught: those that are held to the teacher's too. */
static size_t find_supervised(Pass *p, const Batch *b, bool taught) {
    size_t count = 0;
    for (size_t n = 0; n < b->tokens; n++)
        if (is_supervised(b, n) || (taught && teacher_has(p, n))) p->supervised[count++] = n;
    return count;
}

static void gather(real *out, const real *x, const size_t *rows, size_t count, size_t C) {
    for (size_t i = 0; i < count; i++) memcpy(out + i * C, x + rows[i] * C, C * sizeof *out);
}

void model_loss(const Model *m, Pass *p, const Batch *b, double *losses) {
    size_t C = m->config.dim, V = m->config.vocab, count = find_supervised(p, b, false);
    for (size_t start = 0; start < count; start += p->head_rows) {
        size_t n = count - start < p->head_rows ? count - start : p->head_rows;
        gather(p->rows, p->final, p->supervised + start, n, C);
        linear_forward(p->logits, V, p->rows, C, &m->head, n, NULL);
        PARALLEL_FOR(n * V > WORTH_THREADS)
        for (size_t i = 0; i < n; i++) p->losses[start + i] = cross_entropy_loss(p->logits + i * V, V, (size_t)b->targets[p->supervised[start + i]]);
    }
    for (size_t n = 0; n < b->tokens; n++) losses[n] = 0;
    for (size_t i = 0; i < count; i++) losses[p->supervised[i]] = p->losses[i];
}

/* Of the head's rows that are trained alone: the same chains as in the whole matrix, of just those columns of dlogits. */
static void head_rows_backward(const Model *m, Pass *p, const TrainedRows *t, size_t n, Start start) {
    size_t C = m->config.dim, V = m->config.vocab;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < t->count; j++) p->columns[i * t->count + j] = p->logits[i * V + (size_t)t->ids[j]];
    matmul(t->rows->g, C, view_transposed(p->columns, t->count), view_rows(p->rows, C), t->count, C, n, start);
}

/* Loss, head gradient, and dh of the final norm's output. */
static void head_step(Model *m, Pass *p, const Batch *b, double scale, Start start_chain, double *sum) {
    size_t C = m->config.dim, V = m->config.vocab, count = find_supervised(p, b, true);
    Linear head = m->head;
    const TrainedRows *rows_alone = m->config.tied ? &m->tok_rows : &m->head_rows;
    bool some = rows_alone->rows && rows_alone->rows->g, below = p->lowest <= place_of(m->config.layers, 0);
    if (below) memset(p->dh, 0, b->tokens * C * sizeof *p->dh);
    if (!count) linear_backward_weights(p->logits, V, p->rows, C, &head, 0, start_chain);
    if (!count && some) head_rows_backward(m, p, rows_alone, 0, start_chain);
    for (size_t start = 0; start < count; start += p->head_rows) {
        size_t n = count - start < p->head_rows ? count - start : p->head_rows;
        const size_t *rows = p->supervised + start;
        gather(p->rows, p->final, rows, n, C);
        linear_forward(p->logits, V, p->rows, C, &head, n, NULL);
        if (p->teacher.model) teacher_logits(m, p, rows, n);
        PARALLEL_FOR(n * V > WORTH_THREADS)
        for (size_t i = 0; i < n; i++) {
            real weight = (real)((double)b->weights[rows[i]] * scale), *row = p->logits + i * V;
            if (is_supervised(b, rows[i])) p->losses[start + i] = cross_entropy_row(row, V, (size_t)b->targets[rows[i]], weight);
            else memset(row, 0, V * sizeof *row), p->losses[start + i] = 0;
            if (p->teacher.model) teacher_row(p, row, V, rows[i], i);
        }
        linear_backward_weights(p->logits, V, p->rows, C, &head, n, start ? CONTINUE : start_chain);
        if (some) head_rows_backward(m, p, rows_alone, n, start ? CONTINUE : start_chain);
        if (!below) continue;
        linear_backward_dx(p->drows, C, p->logits, V, &head, n, BEGIN);
        for (size_t i = 0; i < n; i++) memcpy(p->dh + rows[i] * C, p->drows + i * C, C * sizeof *p->dh);
    }
    for (size_t i = 0; i < count; i++)
        if (is_supervised(b, p->supervised[i])) *sum += (double)b->weights[p->supervised[i]] * p->losses[i];
    if (p->teacher.model) teacher_sum(p, b);
}

/* ---- backward ---- */

/* dx NULL: nothing below needs it. With DoRA dz stands in dy's place, for everything but the bias. */
static void backward_joined(real *dx, const real *dy, size_t width, const real *x, size_t dim, Linear *l, int count, size_t N, Start step,
                            const Adapting *t) {
    const real *d[3];
    size_t at = 0;
    for (int i = 0; i < count; at += l[i++].out) {
        bool dora = l[i].lora && l[i].lora->magnitude;
        d[i] = (dora ? t->dz : dy) + at;
        if (dora) dora_backward(t->dz + at, dy + at, width, x, dim, &l[i], N, t);
        if (dx) linear_backward_dx(dx, dim, d[i], width, &l[i], N, i ? CONTINUE : BEGIN);
        linear_backward_weights(dy + at, width, x, dim, &l[i], N, step);
    }
    for (int i = 0; i < count; i++) adapted_backward(dx, dim, d[i], width, x, dim, &l[i], N, step, t);
}

/* p->dx: gradient of the block's output in, of its input out. Walks block_forward back, down to the lowest place that is trained. */
static void block_backward(const Model *m, Pass *p, size_t layer, size_t N, Start step) {
    const Config *c = &m->config;
    Block *b = &m->blocks[layer];
    const Widths *w = &p->width;
    Kept *k = &p->kept[layer];
    const Adapting *t = &p->adapting;
    int lowest = p->lowest < place_of(layer, NORM1) ? -1 : (int)(p->lowest - place_of(layer, NORM1)); /* part of this block; -1: below it */
    activate(p->act, k->in, b, N, c->ffn);
    backward_joined(lowest < DOWN ? p->dact : NULL, p->dx, c->dim, p->act, c->ffn, &b->down, 1, N, step, t);
    if (lowest == DOWN) return;
    if (b->in_count == 2) swiglu_backward(p->din, p->dact, k->in, N, c->ffn);
    else gelu_backward(p->din, p->dact, k->in, N * c->ffn);
    norm_recall(p->h, k->mean2, k->rstd2, k->mid, &b->norm2, c, N);
    backward_joined(lowest < IN ? p->dh : NULL, p->din, w->in, p->h, c->dim, b->in, b->in_count, N, step, t);
    if (lowest == IN) return;
    norm_backward(p->dx, p->dh, k->mid, k->mean2, k->rstd2, &b->norm2, c, N);
    if (lowest == NORM2) return;
    backward_joined(lowest < OUT ? p->d_o : NULL, p->dx, c->dim, k->o, w->q, &b->out, 1, N, step, t);
    if (lowest == OUT) return;
    real *dkeys = p->dqkv + w->q, *keys = k->qkv + w->q;
    attention_backward(p->dqkv, dkeys, dkeys + w->kv, p->delta, p->d_o, k->o, k->top, k->inv_sum, k->qkv, w->qkv, keys, keys + w->kv, w->qkv, p->shape,
                       p->blocks, p->block_count, p->keys, p->attention);
    rotate(m, p, p->dqkv, N, true);
    head_norms_backward(m, b, k, w, p->dqkv, p->d_raw, N);
    norm_recall(p->h, k->mean1, k->rstd1, p->x[layer], &b->norm1, c, N);
    backward_joined(lowest < QKV ? p->dh : NULL, p->dqkv, w->qkv, p->h, c->dim, b->qkv, b->qkv_count, N, step, t);
    if (lowest == QKV) return;
    norm_backward(p->dx, p->dh, p->x[layer], k->mean1, k->rstd1, &b->norm1, c, N);
}

/* Rows of the embedding (and of the learned positions) that this micro-batch touched: chains over tokens, threads own columns. */
static void embed_backward(const Model *m, Pass *p, const Batch *b) {
    size_t C = m->config.dim;
    real *pos = m->pos ? m->pos->g : NULL;
    PARALLEL_FOR(b->tokens * C > WORTH_THREADS)
    for (size_t start = 0; start < C; start += LANES) {
        size_t end = start + LANES < C ? start + LANES : C;
        for (size_t n = 0; n < b->tokens; n++) {
            const real *d = p->dx + n * C;
            int32_t at = p->row_of[b->ids[n]];
            real *row = at >= 0 ? p->embed + (size_t)at * C : NULL, *place = pos ? pos + p->position[n] * C : NULL;
            for (size_t i = start; row && i < end; i++) row[i] += d[i];
            for (size_t i = start; pos && i < end; i++) place[i] += d[i];
        }
    }
}

void model_begin_gradients(Model *m, Pass *p, const int32_t *ids, size_t count) {
    size_t V = m->config.vocab, rows = 0;
    for (size_t i = 0; i < V; i++) p->row_of[i] = -1;
    const TrainedRows *alone = m->tok_rows.rows && m->tok_rows.rows->g ? &m->tok_rows : NULL;
    if (m->tok->g || alone)
        for (size_t i = 0; i < count; i++) p->row_of[ids[i]] = 0;
    for (size_t i = 0, j = 0; i < V; i++) {
        while (alone && j < alone->count && (size_t)alone->ids[j] < i) j++;
        bool out = alone && !(j < alone->count && (size_t)alone->ids[j] == i);
        if (p->row_of[i] == 0) p->row_of[i] = out ? -1 : (int32_t)rows++;
    }
    if (rows > p->embed_rows) {
        mem_free(p->embed);
        p->embed = mem_new(size_mul(rows, m->config.dim, "the embedding's gradient"), sizeof(real));
        p->embed_rows = rows;
    }
    if (rows) memset(p->embed, 0, rows * m->config.dim * sizeof(real));
    if (m->pos && m->pos->g) memset(m->pos->g, 0, param_size(m->pos) * sizeof(real));
    for (size_t i = 0; i < m->count; i++)
        if (m->params[i]->g_sum) memset(m->params[i]->g_sum, 0, param_size(m->params[i]) * sizeof(double));
}

void model_step(Model *m, Pass *p, const Batch *b, double scale, bool first, double *loss_sum) {
    const Config *c = &m->config;
    Start step = first ? BEGIN : CONTINUE;
    assert(p->backward);
    if (p->teacher.model) teacher_forward(m, p, b);
    model_forward(m, p, b);
    head_step(m, p, b, scale, step, loss_sum);
    memset(p->dx, 0, b->tokens * c->dim * sizeof *p->dx);
    if (p->lowest <= place_of(c->layers, 0)) norm_backward(p->dx, p->dh, p->x[c->layers], p->mean_f, p->rstd_f, &m->norm_f, c, b->tokens);
    for (size_t i = c->layers; i-- > 0 && p->lowest < place_of(i + 1, 0);) {
        if (p->recompute) block_forward(m, p, i, b->tokens, NULL, NULL);
        block_backward(m, p, i, b->tokens, step);
    }
    if (!p->lowest) embed_backward(m, p, b);
}

void model_finish_gradients(Model *m, Pass *p) {
    size_t V = m->config.vocab, C = m->config.dim;
    const TrainedRows *alone = m->tok_rows.rows && m->tok_rows.rows->g ? &m->tok_rows : NULL;
    Param *of = alone ? alone->rows : m->tok;
    real *g = of->g;
    if (g && !m->config.tied) memset(g, 0, param_size(of) * sizeof *g);
    for (size_t i = 0; g && i < (alone ? alone->count : V); i++) {
        size_t id = alone ? (size_t)alone->ids[i] : i;
        if (p->row_of[id] < 0) continue;
        const real *row = p->embed + (size_t)p->row_of[id] * C;
        for (size_t j = 0; j < C; j++) g[i * C + j] += row[j];
    }
    for (size_t i = 0; m->adapter && i < m->adapter->count; i++) { /* dm = Σ dy z / n */
        const Lora *a = &m->adapter->loras[i];
        double *sum = a->magnitude ? a->magnitude->g_sum : NULL;
        for (size_t j = 0; sum && j < m->adapter->linears[i]->out; j++) sum[j] /= (double)a->norm[j];
    }
    for (size_t i = 0; i < m->count; i++) {
        Param *q = m->params[i];
        for (size_t j = 0; q->g_sum && j < param_size(q); j++) q->g[j] = (real)q->g_sum[j];
    }
}
