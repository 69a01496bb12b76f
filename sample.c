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

const char *const stop_names[] = {"tokens", "end", "string", "context", "interrupt"};

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

/* A text with its token more: whether it has ended. */
static bool write_token(const Model *m, const Tokenizer *tok, Writing *w, int32_t id) {
    const GenerateOptions *o = &w->options;
    w->reason = STOP_END;
    if (is_end(m, tok, id)) return true;
    ids_push(&w->ids, id);
    w->made++;
    if (tok) tokenizer_decode_next(tok, &w->decoding, id, false, &w->text);
    size_t stop = find_stop(&w->text, w->shown, o);
    w->reason = STOP_STRING;
    if (stop != SIZE_MAX) return w->text.len = stop, w->text.data[stop] = 0, true;
    size_t settled = w->text.len - unsettled(&w->text, w->shown, o);
    if (o->show && settled > w->shown) o->show(o->context, w->text.data + w->shown, settled - w->shown);
    w->shown = settled;
    w->reason = STOP_INTERRUPT;
    return os_interrupted && !o->whole;
}

void generate_many(const Model *m, Tokenizer *tok, Cache *cache, Writing *texts, size_t count) {
    size_t V = m->config.vocab;
    real *logits = mem_new(size_mul(count, V, "logits"), sizeof *logits);
    Continuation *parts = mem_new(count, sizeof *parts);
    bool *ended = mem_new(count, sizeof *ended);
    Sampler *s = sampler_new(V);
    size_t cached = texts[0].options.cached;
    if (cached) assert(count == 1 && cached < texts[0].ids.count && cache_length(cache) == cached);
    else cache_clear(cache);
    for (size_t i = 0; i < count; i++) {
        Writing *w = &texts[i];
        assert(w->ids.count >= 1);
        w->made = 0, w->shown = w->text.len, w->decoding = (Decoding){.begun = text_begun(tok, &w->ids)};
    }
    for (size_t active = 1; active;) {
        active = 0;
        for (size_t i = 0; i < count; i++) {
            Writing *w = &texts[i];
            if (ended[i]) continue;
            bool full = w->ids.count > m->config.ctx;
            if (full || w->made >= w->options.tokens) {
                w->reason = full && w->made < w->options.tokens ? STOP_CONTEXT : STOP_TOKENS;
                ended[i] = true;
            } else if (!w->made) parts[active++] = (Continuation){i, w->ids.count - cached, w->ids.data + cached};
            else parts[active++] = (Continuation){i, 1, w->ids.data + w->ids.count - 1};
        }
        if (active) model_decode_many(m, cache, parts, active, logits);
        for (size_t k = 0; k < active; k++) {
            size_t i = parts[k].sequence;
            Writing *w = &texts[i];
            int32_t id = sample_next(s, logits + k * V, &w->options.sample, w->ids.data, w->ids.count, w->draws + w->made);
            ended[i] = write_token(m, tok, w, id);
        }
    }
    for (size_t i = 0; i < count; i++) {
        Writing *w = &texts[i];
        if (w->options.show && w->text.len > w->shown) w->options.show(w->options.context, w->text.data + w->shown, w->text.len - w->shown);
    }
    sampler_free(s), mem_free(logits), mem_free(parts), mem_free(ended);
}

size_t split_stops(const char *flag, const char **stops, size_t most) {
    size_t count = 0;
    if (!flag) return 0;
    char *text = str_copy(flag), *to = text, *start = text;
    for (char *at = text;; at++) {
        if (*at == '|' || !*at) {
            bool end = !*at;
            *to++ = 0;
            if (*start && count < most) stops[count++] = start;
            if (end) return count;
            start = to;
        } else if (at[0] == '\\' && at[1] == 'n') *to++ = '\n', at++;
        else *to++ = *at;
    }
}

StopReason generate(const Model *m, Tokenizer *tok, Cache *cache, Ids *ids, const GenerateOptions *o, Buf *text) {
    Writing w = {.ids = *ids, .options = *o, .text = *text};
    generate_many(m, tok, cache, &w, 1);
    *ids = w.ids, *text = w.text;
    return w.reason;
}
