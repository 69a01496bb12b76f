#include "sample.h"

#include "os.h"

#include <assert.h>
#include <string.h>

typedef struct {
    double weight;                    /* exp(logit - largest), not yet divided by the sum */
    int32_t id;
} Candidate;

struct Sampler {
    size_t vocab;
    Candidate *candidates;
    bool *seen;
};

Sampler *sampler_new(size_t vocab) {
    Sampler *s = mem_new(1, sizeof *s);
    s->vocab = vocab;
    s->candidates = mem_new(vocab, sizeof *s->candidates);
    s->seen = mem_new(vocab, sizeof *s->seen);
    return s;
}

void sampler_free(Sampler *s) {
    if (!s) return;
    mem_free(s->candidates), mem_free(s->seen), mem_free(s);
}

static int32_t largest(const real *logits, size_t V) {
    size_t best = 0;
    for (size_t i = 1; i < V; i++)
        if (logits[i] > logits[best]) best = i;
    return (int32_t)best;
}

static void penalise(Sampler *s, real *logits, double penalty, const int32_t *history, size_t count) {
    for (size_t i = 0; i < count; i++) {
        size_t id = (size_t)history[i];
        if (!s->seen[id]) logits[id] = (real)(logits[id] > 0 ? (double)logits[id] / penalty : (double)logits[id] * penalty);
        s->seen[id] = true;
    }
    for (size_t i = 0; i < count; i++) s->seen[history[i]] = false;
}

/* Likelier first, then the lower id: a total order. */
static int likelier(const void *a, const void *b, const void *context) {
    const Candidate *x = a, *y = b;
    (void)context;
    if (x->weight != y->weight) return x->weight > y->weight ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

/* Keeps the first tokens whose weights reach p of the total. */
static size_t cut_top_p(const Candidate *c, size_t count, double p) {
    double total = 0, sum = 0;
    for (size_t i = 0; i < count; i++) total += c[i].weight;
    for (size_t i = 0; i < count; i++) {
        sum += c[i].weight;
        if (sum >= p * total) return i + 1;
    }
    return count;
}

int32_t sample_next(Sampler *s, real *logits, const SampleOptions *o, const int32_t *history, size_t count, uint64_t index) {
    size_t V = s->vocab, kept = V;
    if (o->repetition_penalty != 1) penalise(s, logits, o->repetition_penalty, history, count);
    int32_t best = largest(logits, V);
    if (o->temperature == 0) return best;
    Candidate *c = s->candidates;
    double top = (double)logits[best], total = 0, sum = 0;
    for (size_t i = 0; i < V; i++) c[i] = (Candidate){d_exp(((double)logits[i] - top) / o->temperature), (int32_t)i};
    if ((o->top_k && o->top_k < V) || o->top_p < 1) sort_stable(c, V, sizeof *c, likelier, NULL);
    if (o->top_k && o->top_k < kept) kept = o->top_k;
    if (o->top_p < 1) kept = cut_top_p(c, kept, o->top_p);
    for (size_t i = 0; i < kept; i++) { /* the largest weight is 1, so min-p is a bound on the weight itself */
        if (c[i].weight < o->min_p) c[i].weight = 0;
        total += c[i].weight;
    }
    double point = (double)rng_uniform(o->seed, RNG_SAMPLE, index, 0) * total;
    for (size_t i = 0; i < kept; i++) {
        sum += c[i].weight;
        if (point < sum) return c[i].id;
    }
    return best; /* rounding left the point at the very end */
}

/* ---- generation ---- */

/* Bytes at the end of a text that may be the beginning of a character or of a stop string: not to be shown yet. */
static size_t unsettled(const Buf *text, size_t shown, const GenerateOptions *o) {
    size_t hold = 0;
    for (size_t back = 1; back <= 3 && back <= text->len - shown; back++) {
        unsigned char b = (unsigned char)text->data[text->len - back];
        size_t need = b >= 0xf0 ? 4 : b >= 0xe0 ? 3 : b >= 0xc0 ? 2 : 1;
        if (b < 0x80) break;
        if (need > 1) {
            if (need > back) hold = back;
            break;
        }
    }
    for (size_t i = 0; i < o->stop_count; i++)
        for (size_t n = strlen(o->stops[i]); n-- > 1;)
            if (n <= text->len - shown && n > hold && !memcmp(text->data + text->len - n, o->stops[i], n)) hold = n;
    return hold;
}

/* Where the first stop string begins, or SIZE_MAX; none begins in what was shown. Not strstr: a text may hold a byte 0. */
static size_t find_stop(const Buf *text, size_t shown, const GenerateOptions *o) {
    for (size_t at = shown; at < text->len; at++)
        for (size_t i = 0; i < o->stop_count; i++) {
            size_t n = strlen(o->stops[i]);
            if (n <= text->len - at && !memcmp(text->data + at, o->stops[i], n)) return at;
        }
    return SIZE_MAX;
}

static bool is_end(const Model *m, const Tokenizer *tok, int32_t id) {
    for (int i = 0; i < m->config.eos_count; i++)
        if (m->config.eos[i] == id) return true;
    return !m->config.eos_count && tok && id == tokenizer_eos(tok);
}

/* A metaspace tokenizer puts a space in front of a text: it is left out when the answer is the text's beginning, after BOS alone. */
static bool text_begun(const Tokenizer *tok, const Ids *ids) {
    for (size_t i = 0; tok && i < ids->count; i++)
        if (!tokenizer_is_special(tok, ids->data[i])) return true;
    return false;
}

StopReason generate(const Model *m, Tokenizer *tok, Cache *cache, Ids *ids, const GenerateOptions *o, Buf *text) {
    size_t V = m->config.vocab, shown = text->len, prompt = ids->count;
    real *logits = mem_new(V, sizeof *logits);
    Sampler *s = sampler_new(V);
    Decoding state = {.begun = text_begun(tok, ids)};
    StopReason reason = STOP_TOKENS;
    assert(prompt >= 1 && cache_length(cache) == 0);
    for (size_t n = 0; n < o->tokens; n++) {
        if (ids->count > m->config.ctx) {
            reason = STOP_CONTEXT;
            break;
        }
        if (n) model_decode(m, cache, ids->data + ids->count - 1, 1, false, logits);
        else model_decode(m, cache, ids->data, prompt, false, logits);
        int32_t id = sample_next(s, logits, &o->sample, ids->data, ids->count, n);
        if (is_end(m, tok, id)) {
            reason = STOP_END;
            break;
        }
        ids_push(ids, id);
        if (tok) tokenizer_decode_next(tok, &state, id, false, text);
        size_t stop = find_stop(text, shown, o);
        if (stop != SIZE_MAX) {
            text->len = stop, text->data[stop] = 0;
            reason = STOP_STRING;
            break;
        }
        size_t settled = text->len - unsettled(text, shown, o);
        if (o->show && settled > shown) o->show(o->context, text->data + shown, settled - shown);
        shown = settled;
        if (os_interrupted && !o->whole) {
            reason = STOP_INTERRUPT;
            break;
        }
    }
    if (o->show && text->len > shown) o->show(o->context, text->data + shown, text->len - shown);
    sampler_free(s), mem_free(logits);
    return reason;
}
