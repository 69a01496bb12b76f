/* Suites as forget measures them: halves, distractors, chance, intervals of texts; the likelihood of answers against logits. */
#include "../fp.h"
#include "../eval.h"
#include "../measure.h"
#include "../os.h"
#include "../stats.h"
#include "scratch.h"
#include "small_models.h"
#include "test.h"

static Tokenizer *tokenizer(void) {
    BpeTrainer *b = bpe_trainer_new();
    bpe_trainer_add(b, "the cat sat on a mat ", 21);
    return bpe_train(b, 257);
}

static Model *model(void) {
    return small_model(small_llama(257, 64, 8, 1, 2, 1, 4, 12, true), true);
}

static bool is(double a, double b, double most) { return a - b <= most && b - a <= most; }

/* Thirty items whose answers are a word, two words, or a number. */
static const char *rows(void) {
    Buf b = {0};
    static const char *const words[] = {"red", "blue", "green", "pink", "grey", "white", "black", "brown", "gold", "tan"};
    for (int i = 0; i < 10; i++) {
        buf_format(&b, "{\"prompt\":\"w%d\",\"completion\":\" %s\"}\n", i, words[i]);
        buf_format(&b, "{\"prompt\":\"t%d\",\"completion\":\" %s owl\"}\n", i, words[i]);
        buf_format(&b, "{\"prompt\":\"n%d\",\"completion\":\" %d\"}\n", i, i % 3);
    }
    return scratch_file("suite.jsonl", b.data, b.len);
}

static char *answer_of(Measure *s, size_t item) {
    Buf b = {0};
    suite_right(&s->suite, suite_row(&s->suite, item), &b);
    return b.data;
}

static void test_distractors(void) {
    Tokenizer *tok = tokenizer();
    Measure s = measure_task(rows(), "s", HALF_ALL, tok, NULL, NULL, 0.1, 7), again = measure_task(rows(), "s", HALF_ALL, tok, NULL, NULL, 0.1, 7);
    Measure other = measure_task(rows(), "s", HALF_ALL, tok, NULL, NULL, 0.1, 8);
    size_t differ = 0;
    CHECK(s.count == 30 && is(s.chance, 0.1, 0));
    for (size_t i = 0; i < s.count; i++) {
        CHECK(s.distractor_count[i] == DISTRACTORS);
        char *right = answer_of(&s, i);
        for (size_t k = 0; k < s.distractor_count[i]; k++) {
            uint32_t d = s.distractors[i * DISTRACTORS + k];
            char *wrong = answer_of(&s, d);
            CHECK(strcmp(right, wrong), "item %zu has its own answer as a distractor", i);
            CHECK(d == again.distractors[i * DISTRACTORS + k], "item %zu: other distractors the second time", i);
            differ += d != other.distractors[i * DISTRACTORS + k];
            if (i % 3 < 2) CHECK(d % 3 == i % 3, "item %zu: \"%s\" has not the form of \"%s\"", i, wrong, right);
            else CHECK((d % 3 == 2) == (k < 2), "item %zu: two other numbers first, then any; distractor %zu is \"%s\"", i, k, wrong);
            for (size_t j = 0; j < k; j++) {
                char *before = answer_of(&s, s.distractors[i * DISTRACTORS + j]);
                CHECK(strcmp(before, wrong), "item %zu: one distractor twice", i);
                mem_free(before);
            }
            mem_free(wrong);
        }
        mem_free(right);
    }
    CHECK(differ > 20, "another seed draws others: %zu", differ);
    measure_free(&s), measure_free(&again), measure_free(&other);
}

static void test_halves(void) {
    Tokenizer *tok = tokenizer();
    Measure select = measure_task(rows(), "s", HALF_SELECT, tok, NULL, NULL, 0, 1), report = measure_task(rows(), "s", HALF_REPORT, tok, NULL, NULL, 0, 1);
    CHECK(select.count == 15 && report.count == 15);
    for (size_t i = 0; i < 15; i++) CHECK(select.items[i] == 2 * i && report.items[i] == 2 * i + 1);
    const char *one = scratch_text("one.jsonl", "{\"prompt\":\"a\",\"completion\":\" b\"}\n");
    CHECK_FAILS(2, "no item in this half", measure_task(one, "s", HALF_REPORT, tok, NULL, NULL, 0, 1));
    CHECK_FAILS(2, "rows with a right answer", measure_task(scratch_text("text.jsonl", "{\"text\":\"a\"}\n"), "s", HALF_ALL, tok, NULL, NULL, 0, 1));
}

/* The story world states the chance of its suites; another file beside it has none. */
static void test_chance(void) {
    Tokenizer *tok = tokenizer();
    double unknown = bits_double(0x7ff8000000000000);
    scratch_text("world.json", "{\"suites\":[{\"file\":\"suite.jsonl\",\"chance\":0.25}]}");
    Measure s = measure_task(rows(), "s", HALF_ALL, tok, NULL, NULL, unknown, 1);
    CHECK(is(s.chance, 0.25, 0), "%g", s.chance);
    s = measure_task(scratch_text("else.jsonl", "{\"prompt\":\"a\",\"completion\":\" b\"}\n"), "s", HALF_ALL, tok, NULL, NULL, unknown, 1);
    CHECK(is(s.chance, 0, 0), "%g", s.chance);
    s = measure_task(scratch_text("choice.jsonl", "{\"query\":\"a\",\"choices\":[\"b\",\"c\"],\"gold\":0}\n{\"query\":\"a\",\"choices\":[\"b\",\"c\",\"d\",\"e\"],\"gold\":1}\n"),
                     "s", HALF_ALL, tok, NULL, NULL, unknown, 1);
    CHECK(s.kind == MEASURE_CHOICE && is(s.chance, 0.375, 1e-15), "%g", s.chance);
    remove(scratch("world.json"));
}

/* Bits of documents add up to what eval says of the whole text; the ratio's interval by hand for three documents. */
static void test_text(void) {
    Tokenizer *tok = tokenizer();
    Model *m = model();
    const char *path = scratch_text("text.txt", "the cat sat\n<|endoftext|>\non a mat\n<|endoftext|>\nthe mat sat on the cat, a cat on a mat\n");
    Measure s = measure_text(path, "t", HALF_ALL, tok, 16);
    Tick quiet = {0};
    Measured r = measure_model(&s, m, true, &quiet);
    Pass *p = pass_new(m, 64, false, false);
    TextScore whole = score_corpus(m, p, &s.corpus, tok);
    Interval i = measured_score(&s, r.score), none = measured_change(&s, r.score, r.score);
    CHECK(s.count == 3 && is(i.value, score_bpb(&whole), 1e-12), "%.17g %.17g", i.value, score_bpb(&whole));
    CHECK(is(none.value, 0, 0) && is(none.low, 0, 0) && is(none.high, 0, 0));
    double bits[] = {10, 30, 26}, bytes[] = {10, 20, 20}; /* ratio 66/50; residuals -3.2, 3.6, -0.4; error √(3/2 Σe²)/50 by n = 3 */
    s.bytes[0] = bytes[0], s.bytes[1] = bytes[1], s.bytes[2] = bytes[2];
    i = measured_score(&s, bits);
    double error = d_sqrt(1.5 * (3.2 * 3.2 + 3.6 * 3.6 + 0.4 * 0.4)) / 50;
    CHECK(is(i.value, 1.32, 1e-15) && is(i.high - i.value, student_t95(2) * error, 1e-12), "%.17g ± %.17g", i.value, i.high - i.value);
    pass_free(p), measured_free(&r, 3), measure_free(&s), model_free(m);
}

/* log p of the right answers against the logits, and of distractors: choice is what their order says. */
static void test_likelihood(void) {
    Tokenizer *tok = tokenizer();
    Model *m = model();
    Measure s = measure_task(rows(), "s", HALF_ALL, tok, NULL, NULL, 0, 1);
    Tick quiet = {0};
    Measured r = measure_model(&s, m, true, &quiet);
    TokenRow ids = {0};
    size_t V = m->config.vocab, chosen = 0;
    real *logits = mem_new(64 * V, sizeof *logits);
    for (size_t i = 0; i < s.count; i += 7) {
        Cache *c = cache_new(m, 64);
        encode_row(s.suite.encoder, s.suite.rows, suite_row(&s.suite, i), &ids);
        model_decode(m, c, ids.ids, ids.count - 1, true, logits);
        double sum = 0;
        for (size_t t = 1; t < ids.count; t++) {
            if (ids.labels[t] < 0) continue;
            double all = 0;
            for (size_t v = 0; v < V; v++) all += d_exp((double)logits[(t - 1) * V + v]);
            sum += (double)logits[(t - 1) * V + (size_t)ids.labels[t]] - d_log(all);
        }
        CHECK(sum < -1 && is(r.likelihood[i], sum, 1e-4), "item %zu: %g %g", i, r.likelihood[i], sum);
        cache_free(c);
    }
    for (size_t i = 0; i < s.count; i++) chosen += r.choice[i] > 0;
    CHECK(chosen > 0 && chosen < s.count, "a random model chooses right now and then: %zu", chosen);
    token_row_free(&ids), mem_free(logits), measured_free(&r, s.count), measure_free(&s), model_free(m);
}

TESTS({"distractors", test_distractors}, {"halves", test_halves}, {"chance", test_chance}, {"text", test_text}, {"likelihood", test_likelihood})
