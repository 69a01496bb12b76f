#include "likelihood.h"

#include "unicode.h"

#include <assert.h>
#include <string.h>

enum { PASS_TOKENS = 2048 };          /* computed at once: any number gives the same bits */

/* ---- segments in, sums out ---- */

struct Tally {
    const Model *m;
    Pass *pass;
    Batch batch;
    double *losses, *sums;            /* sums: the caller's, of all owners */
    size_t *owners, owner_room;       /* of the batch's segments */
    float *weights;
};

Tally *tally_begin(const Model *m, double *sums) {
    size_t tokens = m->config.ctx > PASS_TOKENS ? m->config.ctx : PASS_TOKENS;
    Tally *t = mem_new(1, sizeof *t);
    *t = (Tally){.m = m, .pass = pass_new(m, tokens, false, false), .losses = mem_new(tokens, sizeof(double)), .sums = sums,
                   .weights = mem_new(m->config.ctx, sizeof(float))};
    return t;
}

static void tally_flush(Tally *t) {
    if (!t->batch.tokens) return;
    model_forward(t->m, t->pass, &t->batch);
    model_loss(t->m, t->pass, &t->batch, t->losses);
    for (size_t i = 0; i < t->batch.segment_count; i++) {
        Segment s = t->batch.segments[i];
        double *sum = &t->sums[t->owners[i]];
        for (size_t n = s.row; n < s.row + s.length; n++) *sum += t->losses[n];
    }
    batch_clear(&t->batch);
}

void tally_add(Tally *t, size_t owner, const int32_t *ids, const int32_t *labels, size_t count) {
    size_t n = count - 1;
    assert(count >= 2 && n <= t->m->config.ctx);
    if (t->batch.tokens + n > (t->m->config.ctx > PASS_TOKENS ? t->m->config.ctx : PASS_TOKENS)) tally_flush(t);
    if (t->batch.segment_count == t->owner_room) {
        t->owner_room = 2 * t->owner_room + 64;
        t->owners = mem_resize(t->owners, t->owner_room, sizeof *t->owners);
    }
    t->owners[t->batch.segment_count] = owner;
    for (size_t i = 0; i < n; i++) t->weights[i] = labels[i + 1] >= 0;
    batch_add(&t->batch, ids, labels + 1, t->weights, n);
}

void tally_end(Tally *t) {
    tally_flush(t);
    pass_free(t->pass), batch_free(&t->batch);
    mem_free(t->losses), mem_free(t->owners), mem_free(t->weights), mem_free(t);
}

/* ---- choices ---- */

/* The first n bytes as ids of a beginning. */
static void encode_all(Tokenizer *tok, const Buf *text, size_t n, Ids *out) {
    out->count = 0;
    if (tokenizer_adds_bos(tok)) ids_push(out, tokenizer_bos(tok));
    tokenizer_encode(tok, text->data, n, false, out);
}

/* Context and continuation as ids, labels -1 in the context. False: the continuation has no token. */
static bool encode_choice(const Suite *s, const Row *row, size_t choice, size_t ctx, TokenRow *out) {
    Buf text = {0};
    Ids whole = {0}, context = {0};
    const Message *query = &row->messages[0];
    const char *kept = query->text;
    size_t at = query->length;
    text_trim(&kept, &at);
    at += (size_t)(kept - query->text);       /* the context ends there: what is white behind it goes to the continuation */
    if (kept == query->text + query->length) at = 0;
    buf_put(&text, query->text, query->length);
    buf_str(&text, s->delimiter ? s->delimiter : " "), buf_str(&text, row->choices[choice]);
    encode_all(s->tok, &text, text.len, &whole);
    encode_all(s->tok, &text, at, &context);
    int32_t begin = tokenizer_bos(s->tok) >= 0 ? tokenizer_bos(s->tok) : tokenizer_eos(s->tok);
    if (!context.count && begin < 0)
        bad_input("%s: line %zu: the query is empty, and the tokenizer has no token that begins a text", rows_path(s->rows), row->line);
    out->count = 0;
    if (!context.count) token_row_push(out, begin, false);
    for (size_t i = 0; i < whole.count; i++) token_row_push(out, whole.data[i], i >= context.count);
    bool some = whole.count > context.count;
    if (out->count > ctx + 1) {
        size_t gone = out->count - (ctx + 1);
        out->count = ctx + 1;
        memmove(out->ids, out->ids + gone, out->count * sizeof *out->ids);
        memmove(out->labels, out->labels + gone, out->count * sizeof *out->labels);
    }
    ids_free(&whole), ids_free(&context), buf_free(&text);
    return some;
}

static size_t characters(const char *text) {
    size_t n = 0;
    for (; *text; text++) n += ((unsigned char)*text & 0xC0) != 0x80;
    return n;
}

static void add_choice(Suite *s, Tally *t, const Row *row, size_t choice, size_t owner, TokenRow *ids) {
    if (!encode_choice(s, row, choice, t->m->config.ctx, ids))
        bad_input("%s: line %zu: choice %zu (\"%.60s\") adds no token to the query: it cannot be scored; write it out", rows_path(s->rows), row->line,
                  choice, row->choices[choice]);
    tally_add(t, owner, ids->ids, ids->labels, ids->count);
}

/* Whether the gold choice has the largest of log_p / length. */
static double is_best(const Choices *c, size_t item, size_t gold, const size_t *lengths) {
    const double *x = c->log_p + c->first[item];
    size_t best = 0;
    for (size_t i = 1; i < c->first[item + 1] - c->first[item]; i++)
        if (x[i] / (double)lengths[i] > x[best] / (double)lengths[best]) best = i;
    return best == gold;
}

static void judge(Choices *c, size_t item, const Row *row) {
    size_t n = row->choice_count, *lengths = mem_new(n, sizeof *lengths);
    for (size_t i = 0; i < n; i++) lengths[i] = 1;
    c->acc[item] = is_best(c, item, row->gold, lengths);
    for (size_t i = 0; i < n; i++) lengths[i] = characters(row->choices[i]);
    c->acc_norm[item] = is_best(c, item, row->gold, lengths);
    for (size_t i = 0; i < n; i++) lengths[i] = strlen(row->choices[i]);
    c->acc_bytes[item] = is_best(c, item, row->gold, lengths);
    mem_free(lengths);
}

Choices suite_choices(Suite *s, const Model *m, Tick *progress) {
    Choices c = {.count = s->count};
    size_t total = 0, done = 0;
    if (rows_kind(s->rows) != ROWS_CHOICE)
        bad_input("%s: its rows are of the kind %s; --score choice wants {\"query\", \"choices\", \"gold\"}", rows_path(s->rows),
                  rows_kind_name(rows_kind(s->rows)));
    c.first = mem_new(s->count + 1, sizeof *c.first);
    for (size_t i = 0; i < s->count; i++) {
        const Row *row = suite_row(s, i);
        for (size_t k = 0; k < row->choice_count; k++)
            if (!*row->choices[k]) bad_input("%s: line %zu: choice %zu is empty: it cannot be scored; write it out", rows_path(s->rows), row->line, k);
        c.first[i + 1] = total += row->choice_count;
    }
    c.log_p = mem_new(total, sizeof *c.log_p);
    c.acc = mem_new(s->count, sizeof *c.acc), c.acc_norm = mem_new(s->count, sizeof *c.acc), c.acc_bytes = mem_new(s->count, sizeof *c.acc);
    Tally *t = tally_begin(m, c.log_p);
    TokenRow ids = {0};
    for (size_t i = 0; i < s->count; i++) {
        const Row *row = suite_row(s, i);
        for (size_t k = 0; k < row->choice_count; k++) add_choice(s, t, row, k, c.first[i] + k, &ids), done += ids.count - 1;
        tick(progress, i + 1, done), done = 0;
    }
    tally_end(t);
    for (size_t i = 0; i < total; i++) c.log_p[i] = -c.log_p[i];
    for (size_t i = 0; i < s->count; i++) judge(&c, i, suite_row(s, i));
    token_row_free(&ids);
    return c;
}

void choices_free(Choices *c) {
    mem_free(c->first), mem_free(c->log_p), mem_free(c->acc), mem_free(c->acc_norm), mem_free(c->acc_bytes);
    *c = (Choices){0};
}

/* ---- right answers ---- */

void suite_likelihood(Suite *s, const Model *m, double *nats, size_t *tokens) {
    for (size_t i = 0; i < s->count; i++) nats[i] = 0;
    Tally *t = tally_begin(m, nats);
    TokenRow ids = {0};
    for (size_t i = 0; i < s->count; i++) {
        const Row *row = suite_row(s, i);
        if (row->kind == ROWS_CHOICE) add_choice(s, t, row, row->gold, i, &ids);
        else {
            encode_row(s->encoder, s->rows, row, &ids);
            token_row_cut(&ids, m->config.ctx, tokenizer_bos(s->tok));
            if (ids.count >= 2) tally_add(t, i, ids.ids, ids.labels, ids.count);
        }
        if (!tokens) continue;
        tokens[i] = 0;
        for (size_t k = 1; k < ids.count; k++) tokens[i] += ids.labels[k] >= 0;
    }
    tally_end(t);
    token_row_free(&ids);
}
