/* Sampling against a brute-force twin; generation from a model whose words are written beforehand. */
#include "../sample.h"
#include "../os.h"
#include "small_models.h"
#include "test.h"

#include <math.h>

enum { V = 40 };

static int32_t sampled(const real *logits, const SampleOptions *o, uint64_t index) {
    static Sampler *s;
    real copy[V];
    if (!s) s = sampler_new(V);
    memcpy(copy, logits, sizeof copy);
    return sample_next(s, copy, o, NULL, 0, index);
}

/* ---- greedy, penalty ---- */

static void test_greedy(void) {
    real logits[V];
    SampleOptions o = {.top_p = 1, .repetition_penalty = 1};
    for (int i = 0; i < V; i++) logits[i] = -3;
    CHECK(sampled(logits, &o, 0) == 0, "all equal: the lowest id");
    logits[17] = 2, logits[23] = 2;
    CHECK(sampled(logits, &o, 0) == 17);
    logits[39] = (real)2.0000002;
    CHECK(sampled(logits, &o, 5) == 39);
    for (int i = 0; i < V; i++) logits[i] = i ? (real)-0.0 : 0;
    CHECK(sampled(logits, &o, 0) == 0);
}

static void test_penalty(void) {
    Sampler *s = sampler_new(V);
    SampleOptions o = {.top_p = 1, .repetition_penalty = 1.5};
    real logits[V] = {0}, kept[V];
    int32_t history[] = {3, 5, 3, 7, 3, 5};
    logits[3] = 3, logits[5] = -1, logits[7] = 0, logits[9] = (real)2.25;
    memcpy(kept, logits, sizeof kept);
    CHECK(sample_next(s, logits, &o, history, 6, 0) == 9, "3/1.5 is below 2.25");
    CHECK(logits[3] == 2 && logits[5] == (real)-1.5 && logits[7] == 0 && logits[9] == kept[9], "each once, however often it occurred");
    CHECK(sample_next(s, logits, &o, NULL, 0, 0) == 9 && logits[3] == 2, "nothing is remembered");
    o.repetition_penalty = 1;
    CHECK(sample_next(s, logits, &o, history, 6, 0) == 9 && logits[3] == 2, "1 changes nothing");
    o.repetition_penalty = 0.5;
    CHECK(sample_next(s, logits, &o, history, 1, 0) == 3 && logits[3] == 4);
    sampler_free(s);
}

/* ---- a twin that sorts by looking for the largest, with libm's exp ---- */

typedef struct {
    int32_t id[V];
    double weight[V];
    size_t count;
} Candidates;

/* What top-k, top-p and min-p leave, likeliest first. */
static Candidates brute_force(const real *logits, const SampleOptions *o) {
    Candidates all = {.count = 0};
    bool used[V] = {0};
    double most = -1e300, total = 0, sum = 0;
    for (int i = 0; i < V; i++) most = (double)logits[i] > most ? (double)logits[i] : most;
    while (all.count < V) {
        int best = -1;
        for (int i = 0; i < V; i++)
            if (!used[i] && (best < 0 || logits[i] > logits[best])) best = i;
        used[best] = true;
        all.id[all.count] = best, all.weight[all.count++] = exp(((double)logits[best] - most) / o->temperature);
    }
    if (o->top_k && o->top_k < all.count) all.count = o->top_k;
    for (size_t i = 0; i < all.count; i++) total += all.weight[i];
    for (size_t i = 0; i < all.count; i++)
        if (o->top_p < 1 && (sum += all.weight[i]) >= o->top_p * total) all.count = i + 1;
    while (all.count > 1 && all.weight[all.count - 1] < o->min_p) all.count--;
    return all;
}

static void check_options(const real *logits, SampleOptions o) {
    enum { DRAWS = 400 };
    Candidates c = brute_force(logits, &o);
    double total = 0;
    size_t hits[V] = {0}, wrong = 0;
    bool sorted = (o.top_k && o.top_k < V) || o.top_p < 1;
    for (size_t i = 0; i < c.count; i++) total += c.weight[i];
    for (uint64_t draw = 0; draw < DRAWS; draw++) {
        int32_t id = sampled(logits, &o, draw), expected = -1;
        double point = (double)rng_uniform(o.seed, RNG_SAMPLE, draw, 0) * total, sum = 0;
        for (int32_t i = 0; i < V && expected < 0; i++) { /* along the candidates: likeliest first, or by id when nothing was sorted */
            for (size_t j = 0; j < c.count; j++) {
                if (sorted ? j != (size_t)i : c.id[j] != i) continue;
                sum += c.weight[j];
                if (point < sum) expected = c.id[j];
            }
        }
        wrong += id != expected;
        hits[id]++;
    }
    for (size_t j = 0; j < c.count; j++) {
        double p = c.weight[j] / total, deviation = sqrt(DRAWS * p * (1 - p));
        CHECK(fabs((double)hits[c.id[j]] - DRAWS * p) <= 5 * deviation + 1, "token %d: %zu of %d, p %.3f", (int)c.id[j], hits[c.id[j]],
              DRAWS, p);
        hits[c.id[j]] = 0;
    }
    for (int i = 0; i < V; i++) CHECK(!hits[i], "token %d is not in the set", i);
    CHECK(!wrong, "T %g, k %zu, p %g, min-p %g: %zu of %d draws differ", o.temperature, o.top_k, o.top_p, o.min_p, wrong, DRAWS);
}

static void test_sets(void) {
    static const double temperatures[] = {0.3, 1, 2.5}, top_ps[] = {1, 0.9, 0.5, 0.01}, min_ps[] = {0, 0.05, 0.5, 1};
    static const size_t top_ks[] = {0, 1, 5, V - 1, V, 1000};
    real logits[V];
    random_fill(logits, V, 4);
    logits[20] = logits[3], logits[21] = logits[3]; /* ties */
    for (size_t t = 0; t < 3; t++)
        for (size_t k = 0; k < 6; k++)
            for (size_t p = 0; p < 4; p++)
                for (size_t n = 0; n < 4; n++)
                    if ((t + k + p + n) % 3 == 0)
                        check_options(logits, (SampleOptions){.temperature = temperatures[t], .top_k = top_ks[k], .top_p = top_ps[p],
                                                              .min_p = min_ps[n],
                                                              .repetition_penalty = 1, .seed = (uint32_t)(k + 1)});
}

/* A tie at the border of top-k keeps the lower id; at the border of min-p all of them. */
static void test_ties_at_the_border(void) {
    real logits[V];
    SampleOptions o = {.temperature = 1, .top_k = 2, .top_p = 1, .repetition_penalty = 1, .seed = 3};
    size_t hits[V] = {0};
    for (int i = 0; i < V; i++) logits[i] = i == 30 ? 1 : 0;
    for (uint64_t i = 0; i < 200; i++) hits[sampled(logits, &o, i)]++;
    CHECK(hits[30] > 100 && hits[0] > 20 && hits[30] + hits[0] == 200, "%zu %zu", hits[30], hits[0]);
    /* min-p 1 leaves those that are as likely as the likeliest */
    o.top_k = 0, o.min_p = 1, logits[7] = 1, hits[7] = hits[30] = 0;
    for (uint64_t i = 0; i < 200; i++) hits[sampled(logits, &o, i)]++;
    CHECK(hits[7] > 50 && hits[30] > 50 && hits[7] + hits[30] == 200, "%zu %zu", hits[7], hits[30]);
}

/* A draw is a function of (seed, index), not of what was drawn before. */
static void test_draws(void) {
    real logits[V];
    int32_t first[64];
    size_t same = 0;
    SampleOptions o = {.temperature = 2, .top_p = 1, .repetition_penalty = 1, .seed = 7};
    random_fill(logits, V, 1);
    for (uint64_t i = 0; i < 64; i++) first[i] = sampled(logits, &o, i);
    for (uint64_t i = 64; i-- > 0;) CHECK(sampled(logits, &o, i) == first[i]);
    o.seed = 8;
    for (uint64_t i = 0; i < 64; i++) same += sampled(logits, &o, i) == first[i];
    CHECK(same < 20, "%zu", same);
}

/* ---- generation ---- */

enum { CTX = 48, VOCAB = 257 };

/* Positions decide alone: pos[t] is the t-th unit vector, every layer adds 0, and the head of the t-th word of the script looks there. */
static Model *scripted(Tokenizer *tok, const char *script, size_t n) {
    Config c = small_gpt2(VOCAB, CTX, CTX, 1, 1, 4, false);
    Model *m = model_new(&c, "test");
    thread_limit(1);
    model_alloc_weights(m);
    for (size_t i = 0; i < m->count; i++)
        for (size_t j = 0; m->params[i]->init_one && j < param_size(m->params[i]); j++) ((real *)m->params[i]->w)[j] = 1;
    for (size_t t = 0; t < CTX; t++) {
        Ids id = {0};
        ((real *)m->pos->w)[t * CTX + t] = 1;
        if (t < n) tokenizer_encode(tok, script + t, 1, false, &id);
        else ids_push(&id, tokenizer_eos(tok));
        ((real *)m->head.w->w)[(size_t)id.data[0] * CTX + t] = 1;
        ids_free(&id);
    }
    return m;
}

typedef struct {
    Buf text;
    size_t calls, broken;             /* broken: pieces that are no whole characters */
} Shown;

/* Whole characters, each stray byte counting as one. */
static bool whole(const char *s, size_t n) {
    for (size_t i = 0; i < n;) {
        unsigned char b = (unsigned char)s[i];
        size_t more = b >= 0xf0 ? 3 : b >= 0xe0 ? 2 : b >= 0xc0 ? 1 : 0;
        if (b < 0xf8 && i + more >= n) return false;
        i += b < 0xf8 ? 1 + more : 1;
    }
    return true;
}

static void show(void *context, const char *bytes, size_t n) {
    Shown *s = context;
    s->calls++, s->broken += !whole(bytes, n);
    buf_put(&s->text, bytes, n);
}

static Tokenizer *bytes_tokenizer(void) {
    static Tokenizer *t;
    if (!t) t = bpe_train(bpe_trainer_new(), VOCAB);
    return t;
}

/* Generates from the script; checks the text and why it ended; returns what was shown. */
static Shown check_script(const char *script, size_t n, const char *const *stops, size_t stop_count, size_t tokens, const char *expected,
                          size_t length,
                          StopReason reason) {
    Model *m = scripted(bytes_tokenizer(), script, n);
    Cache *cache = cache_new(m, CTX);
    Ids ids = {0};
    Buf text = {0};
    Shown shown = {0};
    GenerateOptions o = {.sample = {.top_p = 1, .repetition_penalty = 1}, .tokens = tokens, .stops = stops, .stop_count = stop_count,
                         .show = show, .context = &shown};
    ids_push(&ids, 0);
    StopReason got = generate(m, bytes_tokenizer(), cache, &ids, &o, &text);
    CHECK(got == reason, "\"%s\": ended by %d", script, (int)got);
    CHECK(text.len == length && (!length || !memcmp(text.data, expected, length)), "\"%s\" gave \"%s\"", script,
          text.data ? text.data : "");
    CHECK(shown.text.len == length && (!length || !memcmp(shown.text.data, expected, length)), "\"%s\" showed \"%s\"", script,
          shown.text.data ? shown.text.data : "");
    cache_free(cache), model_free(m), ids_free(&ids), buf_free(&text);
    return shown;
}

#define SCRIPT(script, tokens, expected, reason, ...) \
    check_script(script, sizeof(script) - 1, (const char *const[]){__VA_ARGS__}, \
                 sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *), tokens, expected, \
                 sizeof(expected) - 1, reason)

static void test_ends(void) {
    const char *const none[] = {NULL};
    Shown s = check_script("hello", 5, none, 0, 40, "hello", 5, STOP_END);
    CHECK(s.calls == 5, "letter by letter: %zu", s.calls);
    check_script("hello", 5, none, 0, 3, "hel", 3, STOP_TOKENS);
    check_script("hello", 5, none, 0, 0, "", 0, STOP_TOKENS);
    check_script("", 0, none, 0, 9, "", 0, STOP_END);
    char full[CTX + 1];
    memset(full, 'x', CTX), full[CTX] = 0;
    check_script(full, CTX, none, 0, 1000, full, CTX, STOP_CONTEXT);
}

static void test_stop_strings(void) {
    SCRIPT("say STOP now", 40, "say ", STOP_STRING, "STOP");
    SCRIPT("say STO, then STOP", 40, "say STO, then ", STOP_STRING, "STOP");
    SCRIPT("aaab", 40, "a", STOP_STRING, "aab");
    SCRIPT("abababc", 40, "abab", STOP_STRING, "abc");
    SCRIPT("one.two\n", 40, "one", STOP_STRING, "\n", "two", ".");
    SCRIPT("abcd", 40, "a", STOP_STRING, "cd", "bcd"); /* both at once: the one that begins first */
    SCRIPT("say STO", 40, "say STO", STOP_END, "STOP");
    SCRIPT("say STO", 5, "say S", STOP_TOKENS, "STOP");
    SCRIPT("STOP", 40, "", STOP_STRING, "STOP");
    SCRIPT("a\0b STOP", 40, "a\0b ", STOP_STRING, "STOP"); /* a byte 0 ends nothing */
}

static void test_characters(void) {
    const char *const none[] = {NULL};
    static const char *const texts[] = {"\xC3\xA9", "a\xE2\x82\xAC.", "\xF0\x9F\x98\x80\xF0\x9F\x98\x80", "\xC3\xA4\xC3\xB6\xC3\xBC."};
    for (size_t i = 0; i < 4; i++) {
        Shown s = check_script(texts[i], strlen(texts[i]), none, 0, 40, texts[i], strlen(texts[i]), STOP_END);
        CHECK(!s.broken, "text %zu: whole characters only", i);
    }
    Shown s = check_script("\xC3\xA4\xC3\xB6", 4, none, 0, 40, "\xC3\xA4\xC3\xB6", 4, STOP_END);
    CHECK(s.calls == 2, "held back and then shown at once: %zu", s.calls);
    /* what never becomes a character is shown all the same */
    check_script("a\xFF\x80\x80\x80\x80z", 7, none, 0, 40, "a\xFF\x80\x80\x80\x80z", 7, STOP_END);
    check_script("a\xE2\x82", 3, none, 0, 40, "a\xE2\x82", 3, STOP_END);
    s = SCRIPT("x\xC3\xA4" "END", 40, "x\xC3\xA4", STOP_STRING, "END");
    CHECK(!s.broken);
}

/* The text may hold something already; an old stop string in it ends nothing. Without a listener and without a tokenizer it works too. */
static void test_text_before(void) {
    const char *stop = "STOP";
    Model *m = scripted(bytes_tokenizer(), "go STOP", 7);
    Cache *cache = cache_new(m, CTX);
    GenerateOptions o = {.sample = {.top_p = 1, .repetition_penalty = 1}, .tokens = 9, .stops = &stop, .stop_count = 1};
    Ids ids = {0};
    Buf text = {0};
    buf_str(&text, "STOP ");
    ids_push(&ids, 0);
    CHECK(generate(m, bytes_tokenizer(), cache, &ids, &o, &text) == STOP_STRING && !strcmp(text.data, "STOP go "), "%s", text.data);
    Ids raw = {0};
    Buf none = {0};
    ids_push(&raw, 0), cache_clear(cache);
    o.stop_count = 0;
    CHECK(generate(m, NULL, cache, &raw, &o, &none) == STOP_TOKENS && raw.count == 10 && !none.len);
    CHECK(!memcmp(raw.data, ids.data, ids.count * sizeof *ids.data), "ids are the tokens, those of the stop string too");
}

/* The configuration's end tokens stand above the tokenizer's. */
static void test_end_tokens(void) {
    Model *m = scripted(bytes_tokenizer(), "ab.cd", 5);
    Ids dot = {0}, ids = {0};
    Buf text = {0};
    Cache *cache = cache_new(m, CTX);
    GenerateOptions o = {.sample = {.top_p = 1, .repetition_penalty = 1}, .tokens = 7};
    tokenizer_encode(bytes_tokenizer(), ".", 1, false, &dot);
    m->config.eos[0] = 12345, m->config.eos[1] = dot.data[0], m->config.eos_count = 2;
    ids_push(&ids, 0);
    CHECK(generate(m, bytes_tokenizer(), cache, &ids, &o, &text) == STOP_END && !strcmp(text.data, "ab") && ids.count == 3);
}

static void test_interrupt(void) {
    Model *m = scripted(bytes_tokenizer(), "abcdef", 6);
    for (int kept_whole = 0; kept_whole < 2; kept_whole++) {
        Cache *cache = cache_new(m, CTX);
        Ids ids = {0};
        Buf text = {0};
        GenerateOptions o = {.sample = {.top_p = 1, .repetition_penalty = 1}, .tokens = 4, .whole = kept_whole};
        ids_push(&ids, 0);
        os_interrupted = 1;
        StopReason reason = generate(m, bytes_tokenizer(), cache, &ids, &o, &text);
        os_interrupted = 0;
        CHECK(reason == (kept_whole ? STOP_TOKENS : STOP_INTERRUPT) && text.len == (kept_whole ? 4u : 1u));
        cache_free(cache);
    }
}

/* Token n of the answer is drawn with index n: the same text whatever was generated before, from the prompt at once or not. */
static void test_text_is_a_function(void) {
    Model *m = small_model(small_llama(VOCAB, CTX, 16, 1, 2, 1, 8, 24, true), true);
    Buf first = {0};
    for (int turn = 0; turn < 3; turn++) {
        Cache *cache = cache_new(m, CTX);
        Ids ids = {0};
        Buf text = {0};
        GenerateOptions o = {.sample = {.temperature = 0.5, .top_p = 1, .repetition_penalty = 1.1, .seed = 5}, .tokens = 30};
        for (int32_t i = 0; i < 5; i++) ids_push(&ids, 40 + i);
        generate(m, bytes_tokenizer(), cache, &ids, &o, turn ? &text : &first);
        if (turn) CHECK(text.len == first.len && text.len > 10 && !memcmp(text.data, first.data, text.len), "turn %d", turn);
        cache_free(cache);
    }
}

/* Written together or alone, prompts longer than a pass among them, each ending when it ends: the same ids, texts and reasons. */
static void test_many(void) {
    enum { MANY = 16 };
    Config shapes[2] = {small_llama(VOCAB, CTX, 16, 2, 4, 2, 4, 24, true), small_gpt2(VOCAB, CTX, 16, 2, 2, 24, false)};
    for (int f = 0; f < 2; f++) {
        Model *m = small_model(shapes[f], true);
        Writing together[MANY] = {{.draws = 0}};
        Cache *many = cache_new_many(m, CTX, MANY + 1);
        for (size_t i = 0; i < MANY; i++) {
            Writing *w = &together[i];
            w->options = (GenerateOptions){.sample = {.temperature = i % 2 ? 0.8 : 0, .top_p = 1, .repetition_penalty = 1, .seed = 5}, .tokens = i == 2 ? 1000 : 3 * i};
            w->draws = (uint64_t)i << 32;
            size_t length = i % 4 == 3 ? CTX : i % 4 == 2 ? CTX - 2 * i : 1 + 2 * i;
            for (size_t k = 0; k < length; k++) ids_push(&w->ids, (int32_t)random_below(VOCAB));
        }
        Ids prompts[MANY] = {{0}};
        for (size_t i = 0; i < MANY; i++)
            for (size_t k = 0; k < together[i].ids.count; k++) ids_push(&prompts[i], together[i].ids.data[k]);
        generate_many(m, bytes_tokenizer(), many, together, MANY);
        bool contexts = false;
        for (size_t i = 0; i < MANY; i++) {
            Writing alone = {.ids = prompts[i], .options = together[i].options, .draws = together[i].draws};
            Cache *one = cache_new(m, CTX);
            generate_many(m, bytes_tokenizer(), one, &alone, 1);
            CHECK(alone.ids.count == together[i].ids.count && !memcmp(alone.ids.data, together[i].ids.data, alone.ids.count * sizeof *alone.ids.data),
                  "family %d, text %zu: %zu ids together, %zu alone", f, i, together[i].ids.count, alone.ids.count);
            CHECK(alone.reason == together[i].reason && alone.text.len == together[i].text.len, "family %d, text %zu", f, i);
            contexts |= alone.reason == STOP_CONTEXT;
            cache_free(one), ids_free(&alone.ids), buf_free(&alone.text), ids_free(&together[i].ids), buf_free(&together[i].text);
        }
        CHECK(contexts, "one of them reached the context");
        Writing draws[2] = {{.draws = 0}, {.draws = (uint64_t)1 << 32}};
        for (int i = 0; i < 2; i++) draws[i].options = together[1].options, draws[i].options.tokens = 30, ids_push(&draws[i].ids, 7);
        generate_many(m, bytes_tokenizer(), many, draws, 2);
        CHECK(memcmp(draws[0].ids.data, draws[1].ids.data, 20 * sizeof(int32_t)), "other draws, another text");
        cache_free(many), model_free(m);
    }
}

TESTS({"greedy", test_greedy}, {"penalty", test_penalty}, {"sets", test_sets}, {"ties at the border", test_ties_at_the_border},
      {"draws", test_draws},
      {"ends", test_ends}, {"stop strings", test_stop_strings}, {"characters", test_characters}, {"text before", test_text_before},
      {"end tokens", test_end_tokens}, {"interrupt", test_interrupt}, {"text is a function", test_text_is_a_function},
      {"texts written together", test_many})
