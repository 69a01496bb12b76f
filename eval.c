#include "eval.h"

#include "pass.h"

#include <assert.h>

static void score_batch(TextScore *s, const Model *m, Pass *p, const Batch *b, const Tokenizer *tok, double *losses) {
    model_forward(m, p, b);
    model_loss(m, p, b, losses);
    for (size_t n = 0; n < b->tokens; n++) {
        size_t bytes;
        tokenizer_piece_bytes(tok, b->targets[n], &bytes);
        s->nats += losses[n];
        if (bytes) s->nats_of_bytes += losses[n];
        s->bytes += bytes;
    }
    s->tokens += b->tokens;
}

TextScore score_corpus(const Model *m, Pass *p, const Corpus *c, const Tokenizer *tok) {
    TextScore s = {0};
    Batch b = {0};
    double *losses = mem_new(p->tokens, sizeof *losses);
    assert(p->tokens >= c->ctx || p->tokens >= c->pairs);
    for (size_t d = 0; d < c->documents; d++) {
        size_t pairs = c->pair_start[d + 1] - c->pair_start[d];
        for (size_t at = 0; at < pairs; at += c->ctx) {
            size_t n = pairs - at < c->ctx ? pairs - at : c->ctx;
            const int32_t *ids = c->ids + c->id_start[d] + at;
            if (b.tokens + n > p->tokens) score_batch(&s, m, p, &b, tok, losses), batch_clear(&b);
            batch_add(&b, ids, ids + 1, NULL, n);
        }
    }
    if (b.tokens) score_batch(&s, m, p, &b, tok, losses);
    batch_free(&b), mem_free(losses);
    return s;
}

static void add_losses(const Model *m, Pass *p, const Batch *b, double *losses, double *sum, double *weight) {
    model_forward(m, p, b);
    model_loss(m, p, b, losses);
    for (size_t n = 0; n < b->tokens; n++) *sum += (double)b->weights[n] * losses[n];
    *weight += batch_weight(b);
}

double score_samples(const Model *m, Pass *p, const Source *s) {
    Batch b = {0}, next = {0};
    double *losses = mem_new(p->tokens, sizeof *losses), sum = 0, weight = 0;
    assert(p->tokens >= s->longest);
    for (size_t i = 0; i < s->samples; i++) {
        batch_clear(&next);
        s->add(s->self, i, &next);
        if (b.tokens + next.tokens > p->tokens) add_losses(m, p, &b, losses, &sum, &weight), batch_clear(&b);
        for (size_t j = 0; j < next.segment_count; j++) batch_add_segment(&b, &next, j);
    }
    if (b.tokens) add_losses(m, p, &b, losses, &sum, &weight);
    batch_free(&b), batch_free(&next), mem_free(losses);
    return weight > 0 ? sum / weight : 0;
}

double score_loss(const TextScore *s) { return s->nats / (double)s->tokens; }
double score_bpb(const TextScore *s) { return s->nats_of_bytes / (0.6931471805599453 * (double)s->bytes); }
