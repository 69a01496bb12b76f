#include "measure.h"

#include "forget.h"
#include "hash.h"
#include "likelihood.h"
#include "os.h"

#include <string.h>

/* ---- opening ---- */

static bool in_half(size_t item, Half half) { return half == HALF_ALL || (item % 2 == 0) == (half == HALF_SELECT); }

static void choose_half(Measure *s, size_t all, Half half, const char *path) {
    s->items = mem_new(all, sizeof *s->items);
    for (size_t i = 0; i < all; i++)
        if (in_half(i, half)) s->items[s->count++] = (uint32_t)i;
    if (!s->count) bad_input("%s: no item in this half: it needs at least two, or --half all", path);
}

Measure measure_text(const char *path, const char *name, Half half, Tokenizer *tok, size_t ctx) {
    Measure s = {.name = str_copy(name), .kind = MEASURE_TEXT, .tok = tok, .chance = bits_double(0x7ff8000000000000)};
    hash_file(path, s.hash);
    s.texts = texts_read(path);
    s.corpus = corpus_new(&s.texts, tok, ctx);
    choose_half(&s, s.corpus.documents, half, path);
    s.bytes = mem_new(s.count, sizeof *s.bytes);
    for (size_t i = 0; i < s.count; i++) {
        size_t d = s.items[i], first = s.corpus.id_start[d] + 1, pairs = s.corpus.pair_start[d + 1] - s.corpus.pair_start[d], bytes;
        for (size_t k = 0; k < pairs; k++) tokenizer_piece_bytes(tok, s.corpus.ids[first + k], &bytes), s.bytes[i] += (double)bytes;
    }
    return s;
}

/* The chance that the story world states for a file of its own; else 0. */
static double chance_of(const char *path) {
    const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    char *dir = str_copy_n(path, (size_t)(name - path)), *world = os_join(*dir ? dir : ".", "world.json");
    double chance = 0;
    if (os_exists(world)) {
        JsonDoc *doc = json_read(world);
        const Json *suites = json_get(json_root(doc), "suites");
        for (size_t i = 0; suites && suites->kind == JSON_ARRAY && i < suites->count; i++)
            if (!strcmp(json_string(doc, &suites->items[i], "file", ""), name)) chance = json_double(doc, &suites->items[i], "chance", 0);
        json_free(doc);
    }
    mem_free(dir), mem_free(world);
    return chance;
}

static double chance_of_choices(const Measure *s) {
    double sum = 0;
    for (size_t i = 0; i < s->count; i++) sum += 1 / (double)suite_row(&s->suite, i)->choice_count;
    return sum / (double)s->count;
}

/* ---- distractors ---- */

/* The form of an answer: its number of words, and whether it is one number. */
typedef struct {
    size_t words;
    bool number;
} Form;

static Form form_of(const char *text) {
    const char *space = " \t\r\n";
    Form f = {0};
    bool digits = true;
    for (text += strspn(text, space); *text; text += strspn(text, space)) {
        size_t n = strcspn(text, space);
        digits = digits && strspn(text, "-+.,0123456789") == n, f.words++, text += n;
    }
    f.number = digits && f.words == 1;
    return f;
}

static bool same_form(Form a, Form b) { return a.words == b.words && a.number == b.number; }

/* Up to DISTRACTORS of the answers in the order of a permutation keyed by (seed, item): such of the right form in the first round, any in the second. */
static void draw_distractors(Measure *s, char **answers, const Form *forms, size_t item, uint32_t *order, uint32_t seed) {
    uint32_t *chosen = s->distractors + item * DISTRACTORS;
    size_t *n = &s->distractor_count[item];
    rng_permute(order, (uint32_t)s->count, seed, RNG_DISTRACTORS, item);
    for (int round = 0; round < 2; round++)
        for (size_t i = 0; i < s->count && *n < DISTRACTORS; i++) {
            const char *answer = answers[order[i]];
            bool taken = !strcmp(answer, answers[item]) || same_form(forms[order[i]], forms[item]) != (round == 0);
            for (size_t k = 0; k < *n; k++) taken = taken || !strcmp(answer, answers[chosen[k]]);
            if (!taken) chosen[(*n)++] = order[i];
        }
}

static void find_distractors(Measure *s, uint32_t seed) {
    char **answers = mem_new(s->count, sizeof *answers);
    Form *forms = mem_new(s->count, sizeof *forms);
    uint32_t *order = mem_new(s->count, sizeof *order);
    Buf text = {0};
    s->distractors = mem_new(s->count * DISTRACTORS, sizeof *s->distractors), s->distractor_count = mem_new(s->count, sizeof *s->distractor_count);
    for (size_t i = 0; i < s->count; i++) {
        suite_right(&s->suite, suite_row(&s->suite, i), &text);
        answers[i] = str_copy_n(text.data, text.len), forms[i] = form_of(answers[i]);
    }
    for (size_t i = 0; i < s->count; i++) draw_distractors(s, answers, forms, i, order, seed);
    for (size_t i = 0; i < s->count; i++) mem_free(answers[i]);
    mem_free(answers), mem_free(forms), mem_free(order), buf_free(&text);
}

Measure measure_task(const char *path, const char *name, Half half, Tokenizer *tok, const char *template_name, const char *template_dir, double chance,
                     uint32_t seed) {
    Measure s = {.name = str_copy(name), .kind = MEASURE_TASK, .tok = tok};
    const char *why;
    hash_file(path, s.hash);
    s.suite = suite_open(path, NULL, template_name, NULL, template_dir, tok, true, &why);
    RowKind kind = rows_kind(s.suite.rows);
    if (kind == ROWS_TEXT || kind == ROWS_IDS)
        bad_input("%s: its rows are of the kind %s; a task has rows with a right answer: {\"prompt\", \"completion\"}, messages, or choices",
                  path, rows_kind_name(kind));
    choose_half(&s, s.suite.count, half, path);
    s.suite.items = s.items, s.suite.count = s.count;
    if (kind == ROWS_CHOICE) s.kind = MEASURE_CHOICE, s.scoring.kind = SCORE_CHOICE;
    score_check(&s.suite, &s.scoring);
    s.chance = is_finite(chance) ? chance : kind == ROWS_CHOICE ? chance_of_choices(&s) : chance_of(path);
    if (s.kind == MEASURE_TASK) find_distractors(&s, seed);
    return s;
}

void measure_free(Measure *s) {
    if (s->kind == MEASURE_TEXT) corpus_free(&s->corpus), texts_free(&s->texts);
    else suite_free(&s->suite);
    mem_free(s->name), mem_free(s->bytes), mem_free(s->items), mem_free(s->distractors), mem_free(s->distractor_count);
    *s = (Measure){0};
}

/* ---- one model ---- */

/* Bits of each document over its targets that have bytes. */
static void measure_documents(const Measure *s, const Model *m, double *bits) {
    const Corpus *c = &s->corpus;
    int32_t *labels = mem_new(c->ctx + 1, sizeof *labels);
    Tally *t = tally_begin(m, bits);
    for (size_t i = 0; i < s->count; i++) {
        size_t d = s->items[i], pairs = c->pair_start[d + 1] - c->pair_start[d];
        for (size_t at = 0; at < pairs; at += c->ctx) {
            size_t n = pairs - at < c->ctx ? pairs - at : c->ctx, bytes;
            const int32_t *ids = c->ids + c->id_start[d] + at;
            for (size_t k = 1; k <= n; k++) tokenizer_piece_bytes(s->tok, ids[k], &bytes), labels[k] = bytes ? ids[k] : -1;
            tally_add(t, i, ids, labels, n + 1);
        }
    }
    tally_end(t), mem_free(labels);
    for (size_t i = 0; i < s->count; i++) bits[i] /= 0.6931471805599453;
}

/* The row with another answer in the right one's place, as ids and labels. */
static void encode_distractor(Measure *s, const Row *row, const Buf *answer, TokenRow *out) {
    const Message *right = row->kind == ROWS_PROMPT && row->completion < row->count ? &row->messages[row->completion] : row_answer(row);
    Message *messages = mem_new(row->count, sizeof *messages);
    Row other = *row;
    memcpy(messages, row->messages, row->count * sizeof *messages);
    messages[right - row->messages].text = answer->data, messages[right - row->messages].length = answer->len;
    other.messages = messages;
    encode_row(s->suite.encoder, s->suite.rows, &other, out);
    mem_free(messages);
}

/* choice[i]: whether the right answer is likelier than each distractor. likelihood: of the right answers, known already. */
static void measure_choice(Measure *s, const Model *m, const double *likelihood, double *choice) {
    double *nats = mem_new(s->count * DISTRACTORS, sizeof *nats);
    TokenRow ids = {0};
    Buf answer = {0};
    Tally *t = tally_begin(m, nats);
    for (size_t i = 0; i < s->count; i++)
        for (size_t k = 0; k < s->distractor_count[i]; k++) {
            suite_right(&s->suite, suite_row(&s->suite, s->distractors[i * DISTRACTORS + k]), &answer);
            encode_distractor(s, suite_row(&s->suite, i), &answer, &ids);
            token_row_cut(&ids, m->config.ctx, tokenizer_bos(s->tok));
            if (ids.count >= 2) tally_add(t, i * DISTRACTORS + k, ids.ids, ids.labels, ids.count);
        }
    tally_end(t);
    for (size_t i = 0; i < s->count; i++) {
        choice[i] = 1;
        for (size_t k = 0; k < s->distractor_count[i]; k++)
            if (!(likelihood[i] > -nats[i * DISTRACTORS + k])) choice[i] = 0;
    }
    token_row_free(&ids), buf_free(&answer), mem_free(nats);
}

static void measure_form(Measure *s, const Scores *scores, double *form) {
    Buf right = {0};
    for (size_t i = 0; i < s->count; i++) {
        bool ends = scores->reasons[i] == STOP_END || scores->reasons[i] == STOP_STRING;
        suite_right(&s->suite, suite_row(&s->suite, i), &right);
        form[i] = ends && same_form(form_of(scores->texts[i].data), form_of(right.data));
    }
    buf_free(&right);
}

Measured measure_model(Measure *s, const Model *m, bool all, Tick *tick) {
    Measured r = {.score = mem_new(s->count, sizeof(double))};
    if (s->kind == MEASURE_TEXT) {
        measure_documents(s, m, r.score);
        return r;
    }
    Scores scores = score_suite(&s->suite, m, &s->scoring, tick);
    memcpy(r.score, scores.values[0], s->count * sizeof(double));
    if (!all) {
        scores_free(&scores);
        return r;
    }
    r.likelihood = mem_new(s->count, sizeof(double));
    suite_likelihood(&s->suite, m, r.likelihood, NULL);
    for (size_t i = 0; i < s->count; i++) r.likelihood[i] = -r.likelihood[i];
    if (s->kind == MEASURE_TASK) {
        r.choice = mem_new(s->count, sizeof(double)), r.form = mem_new(s->count, sizeof(double)), r.answers = mem_new(s->count, sizeof *r.answers);
        measure_choice(s, m, r.likelihood, r.choice);
        measure_form(s, &scores, r.form);
        for (size_t i = 0; i < s->count; i++) r.answers[i] = str_copy_n(scores.texts[i].data, scores.texts[i].len);
    }
    scores_free(&scores);
    return r;
}

void measured_free(Measured *r, size_t count) {
    for (size_t i = 0; r->answers && i < count; i++) mem_free(r->answers[i]);
    mem_free(r->score), mem_free(r->likelihood), mem_free(r->choice), mem_free(r->form), mem_free(r->answers);
    *r = (Measured){0};
}

/* ---- drift ---- */

/* Appends item i: every position counts. */
static void add_inputs(Measure *s, size_t i, size_t ctx, TokenRow *ids, Batch *b) {
    if (s->kind == MEASURE_TEXT) {
        const Corpus *c = &s->corpus;
        size_t d = s->items[i], pairs = c->pair_start[d + 1] - c->pair_start[d];
        for (size_t at = 0; at < pairs; at += c->ctx) {
            const int32_t *from = c->ids + c->id_start[d] + at;
            batch_add(b, from, from + 1, NULL, pairs - at < c->ctx ? pairs - at : c->ctx);
        }
        return;
    }
    encode_prompt(s->suite.encoder, s->suite.rows, suite_row(&s->suite, i), ids);
    size_t from = ids->count > ctx ? ids->count - ctx : 0;
    batch_add(b, ids->ids + from, ids->ids + from, NULL, ids->count - from); /* of the targets only that there is one matters */
}

double measure_kl(Measure *s, Model *base, Model *tuned, bool toggle, size_t most, size_t *tokens) {
    enum { ROOM = 2048 };
    size_t ctx = base->config.ctx, room = ctx > ROOM ? ctx : ROOM;
    Pass *q = pass_new(base, room, false, false), *p = pass_new(tuned, room, false, false);
    Batch next = {0}, b = {0};
    TokenRow ids = {0};
    double sum = 0;
    *tokens = 0;
    for (size_t i = 0; i < s->count && (!most || *tokens + b.tokens < most); i++) {
        batch_clear(&next);
        add_inputs(s, i, ctx, &ids, &next);
        for (size_t k = 0; k < next.segment_count; k++) {
            if (b.tokens + next.segments[k].length > room) add_kl(base, q, tuned, p, &b, toggle, &sum, tokens), batch_clear(&b);
            batch_add_segment(&b, &next, k);
        }
    }
    if (b.tokens) add_kl(base, q, tuned, p, &b, toggle, &sum, tokens);
    batch_free(&next), batch_free(&b), token_row_free(&ids), pass_free(q), pass_free(p);
    return *tokens ? sum / (double)*tokens : 0;
}

/* ---- two models ---- */

static double total(const double *x, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += x[i];
    return sum;
}

/* Σ bits / Σ bytes over documents; its error by the residuals bits - ratio·bytes (Cochran 1977, 6.4): documents of unequal length. */
static Interval ratio_of(const double *bits, const double *bytes, size_t n) {
    double all = total(bytes, n), ratio = total(bits, n) / all, *x = mem_new(n, sizeof *x);
    for (size_t i = 0; i < n; i++) x[i] = ratio + (bits[i] - ratio * bytes[i]) * (double)n / all;
    Estimate e = estimate_mean(x, n);
    mem_free(x);
    return (Interval){ratio, ratio - (e.high - e.mean), ratio + (e.high - e.mean)};
}

Interval measured_score(const Measure *s, const double *score) {
    Interval r;
    if (s->kind == MEASURE_TEXT) return ratio_of(score, s->bytes, s->count);
    r.value = total(score, s->count) / (double)s->count;
    wilson_interval(total(score, s->count), s->count, &r.low, &r.high);
    return r;
}

Interval mean_change(const double *before, const double *after, size_t count, bool shares) {
    Estimate e = shares ? estimate_paired_shares(before, after, count) : estimate_paired(before, after, count);
    return (Interval){e.mean, e.low, e.high};
}

Interval measured_change(const Measure *s, const double *before, const double *after) {
    if (s->kind != MEASURE_TEXT) return mean_change(before, after, s->count, true);
    double *change = mem_new(s->count, sizeof *change);
    for (size_t i = 0; i < s->count; i++) change[i] = after[i] - before[i];
    Interval r = ratio_of(change, s->bytes, s->count);
    mem_free(change);
    return r;
}
