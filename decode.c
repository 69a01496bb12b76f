/* decode: the forward pass a few tokens at a time, keys and values kept. Declared in model.h. */
#include "pass.h"

#include <assert.h>

/* Tokens of one pass, of one sequence and of several: any number gives the same bits. */
enum { DECODE_TOKENS = 64, MANY_TOKENS = 256 };

struct Cache {
    size_t ctx, sequences;
    size_t *length;                   /* [sequences] */
    Pass *pass;
    int32_t *ids;                     /* of the pass that is being laid out */
    real *k, *v;                      /* [layers, sequences * ctx, kv_heads * head_dim] */
};

size_t cache_bytes(const Model *m, size_t ctx) {
    return size_mul(size_mul(2 * sizeof(real) * m->config.kv_heads * m->config.head_dim, ctx, "the KV cache"), m->config.layers, "the KV cache");
}

Cache *cache_new_many(const Model *m, size_t ctx, size_t sequences) {
    size_t bytes = size_mul(cache_bytes(m, ctx) / 2, sequences, "the KV cache"), tokens = sequences > 1 ? MANY_TOKENS : DECODE_TOKENS;
    assert(ctx >= 1 && ctx <= m->config.ctx && sequences >= 1);
    Cache *c = mem_new(1, sizeof *c);
    c->ctx = ctx, c->sequences = sequences;
    c->length = mem_new(sequences, sizeof *c->length);
    c->pass = pass_new_keys(m, tokens, false, false, ctx);
    c->ids = mem_new(tokens, sizeof *c->ids);
    c->k = mem_new(bytes, 1);
    c->v = mem_new(bytes, 1);
    return c;
}

Cache *cache_new(const Model *m, size_t ctx) { return cache_new_many(m, ctx, 1); }

void cache_free(Cache *c) {
    if (!c) return;
    pass_free(c->pass);
    mem_free(c->length), mem_free(c->ids), mem_free(c->k), mem_free(c->v), mem_free(c);
}

size_t cache_length(const Cache *c) { return c->length[0]; }
void cache_clear(Cache *c) {
    for (size_t i = 0; i < c->sequences; i++) c->length[i] = 0;
}

void cache_cut(Cache *c, size_t n) {
    assert(n <= c->length[0]);
    c->length[0] = n;
}

/* n tokens more of a sequence take the rows from `row` on of the pass. */
static void lay_out(Cache *c, size_t sequence, const int32_t *ids, size_t n, size_t row) {
    Pass *p = c->pass;
    size_t first = c->length[sequence];
    assert(sequence < c->sequences && first + n <= c->ctx);
    for (size_t t = 0; t < n; t++) c->ids[row + t] = ids[t], p->position[row + t] = first + t;
    for (size_t t = 0; t < n; t += ATTENTION_ROWS) {
        size_t rows = n - t < ATTENTION_ROWS ? n - t : ATTENTION_ROWS;
        p->blocks[p->block_count++] = (AttentionBlock){.row = row + t, .rows = rows, .first = first + t, .key_row = sequence * c->ctx};
    }
    c->length[sequence] += n;
}

static void forward(const Model *m, Cache *c, size_t tokens) {
    size_t layer_size = c->sequences * c->ctx * c->pass->width.kv;
    embed(m, c->pass, c->ids, tokens);
    for (size_t i = 0; i < m->config.layers; i++) block_forward(m, c->pass, i, tokens, c->k + i * layer_size, c->v + i * layer_size);
    finish_forward(m, c->pass, tokens);
    c->pass->block_count = 0;
}

/* Of these rows of the pass, neighbours in one product. */
static void some_logits(const Model *m, const Pass *p, const size_t *rows, size_t count, real *logits) {
    for (size_t i = 0, n; i < count; i += n) {
        for (n = 1; i + n < count && rows[i + n] == rows[i] + n;) n++;
        model_logits(m, p, rows[i], n, logits + i * m->config.vocab);
    }
}

void model_decode_many(const Model *m, Cache *c, const Continuation *parts, size_t count, real *logits) {
    Pass *p = c->pass;
    size_t filled = 0, ended = 0, *last = p->supervised; /* the rows that end a part: scratch of the loss, which is not computed here */
    for (size_t i = 0; i < count; i++) {
        assert(parts[i].count >= 1);
        for (size_t done = 0; done < parts[i].count;) {
            size_t room = p->tokens - filled, left = parts[i].count - done, some = left < room ? left : room;
            lay_out(c, parts[i].sequence, parts[i].ids + done, some, filled);
            filled += some, done += some;
            if (done == parts[i].count) last[ended++] = filled - 1;
            if (filled < p->tokens && (i + 1 < count || done < parts[i].count)) continue;
            forward(m, c, filled);
            some_logits(m, p, last, ended, logits);
            logits += ended * m->config.vocab;
            filled = ended = 0;
        }
    }
}

void model_decode(const Model *m, Cache *c, const int32_t *ids, size_t n, bool all, real *logits) {
    if (!all) {
        model_decode_many(m, c, &(Continuation){.ids = ids, .count = n}, 1, logits);
        return;
    }
    for (size_t done = 0, some; done < n; done += some) {
        some = n - done < c->pass->tokens ? n - done : c->pass->tokens;
        lay_out(c, 0, ids + done, some, 0);
        forward(m, c, some);
        model_logits(m, c->pass, 0, some, logits + done * m->config.vocab);
    }
}
