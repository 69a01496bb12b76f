/* Scores: each kind on hand-made answers; a suite answered together equals each row answered alone; likelihoods against the logits. */
#include "../score.h"
#include "../stats.h"
#include "scratch.h"
#include "small_models.h"
#include "test.h"

static Buf text_of(const char *s) {
    Buf b = {0};
    buf_str(&b, s);
    return b;
}

static void test_answers(void) {
    static const struct { ScoreKind kind; const char *answer, *right; bool good, valid; } cases[] = {
        {SCORE_EXACT, "Paris", "Paris", true, true}, {SCORE_EXACT, " Paris\n", "Paris", true, true}, {SCORE_EXACT, "Paris", " Paris ", true, true},
        {SCORE_EXACT, "paris", "Paris", false, true}, {SCORE_EXACT, "Paris.", "Paris", false, true}, {SCORE_EXACT, "", "Paris", false, true},
        {SCORE_EXACT, "\xC2\xA0Paris", "Paris", true, true}, {SCORE_EXACT, "a  b", "a b", false, true}, {SCORE_EXACT, "", " ", true, true},
        {SCORE_CONTAINS, "It is Paris.", " Paris", true, true}, {SCORE_CONTAINS, "Pari", "Paris", false, true}, {SCORE_CONTAINS, "PParis", "Paris", true, true},
        {SCORE_CONTAINS, "", "Paris", false, true}, {SCORE_REGEX, "so\n#### 42\n", "#### 4\\d$", true, true}, {SCORE_REGEX, "#### 423", "#### 4\\d$", false, true},
        {SCORE_REGEX, "no", "^yes|no$", true, true}, {SCORE_JSON, "{\"a\":1,\"b\":[true,null]}", " { \"b\": [true, null], \"a\": 1.0 }", true, true},
        {SCORE_JSON, "{\"a\":1}", "{\"a\":2}", false, true}, {SCORE_JSON, "{\"a\":1}", "{\"a\":1,\"b\":2}", false, true},
        {SCORE_JSON, "{\"a\":1,\"c\":2}", "{\"a\":1,\"b\":2}", false, true}, {SCORE_JSON, "[1,2]", "[2,1]", false, true},
        {SCORE_JSON, "{\"a\":1} ok", "{\"a\":1}", false, false}, {SCORE_JSON, "{a:1}", "{\"a\":1}", false, false}, {SCORE_JSON, "", "null", false, false},
        {SCORE_JSON, "\"\\u00e9\"", "\"\xC3\xA9\"", true, true}, {SCORE_JSON, "1e2", "100", true, true}, {SCORE_JSON, "9007199254740993", "9007199254740992", false, true},
        {SCORE_JSON, "\"1\"", "1", false, true}, {SCORE_JSON, "[]", "{}", false, true}, {SCORE_JSON, "\xFF", "1", false, false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Buf a = text_of(cases[i].answer), b = text_of(cases[i].right);
        ScoreOptions o = {.kind = cases[i].kind};
        bool valid, good = score_answer(&o, &a, &b, "test", &valid);
        CHECK(good == cases[i].good && valid == cases[i].valid, "%s: \"%s\" for \"%s\": %d %d", score_names[o.kind], cases[i].answer, cases[i].right, good, valid);
        buf_free(&a), buf_free(&b);
    }
    Buf a = text_of("x"), b = text_of("{");
    bool valid;
    CHECK_FAILS(2, "rows: line 3: --score json: the right answer is no JSON", score_answer(&(ScoreOptions){.kind = SCORE_JSON}, &a, &b, "rows: line 3", &valid));
    b.data[0] = '(';
    CHECK_FAILS(2, "rows: line 3", score_answer(&(ScoreOptions){.kind = SCORE_REGEX}, &a, &b, "rows: line 3", &valid));
}

enum { VOCAB = 257, CTX = 40, ROWS = 70 };

static Tokenizer *bytes_tokenizer(void) {
    static Tokenizer *t;
    if (!t) t = bpe_train(bpe_trainer_new(), VOCAB);
    return t;
}

static Model *random_model(void) { return small_model(small_llama(VOCAB, CTX, 16, 2, 2, 1, 8, 24, true), true); }

static Suite open_rows(const char *name, const char *text) {
    const char *why;
    return suite_open(scratch_text(name, text), NULL, NULL, NULL, NULL, bytes_tokenizer(), false, &why);
}

/* Rows whose right answer is what the model writes are right, all others wrong; the questions are answered 64 at a time. */
static void test_suite(void) {
    Model *m = random_model();
    Buf rows = {0};
    bool expected[ROWS];
    for (size_t i = 0; i < ROWS; i++) {
        char prompt[64];
        snprintf(prompt, sizeof prompt, "%zu %.*s", i * 7919 % 1000, (int)(i % 30), "abcdefghijklmnopqrstuvwxyzabcdefgh");
        Ids ids = {0};
        Buf text = {0};
        Cache *cache = cache_new(m, CTX);
        ids_push(&ids, tokenizer_bos(bytes_tokenizer()));
        tokenizer_encode(bytes_tokenizer(), prompt, strlen(prompt), false, &ids);
        generate(m, bytes_tokenizer(), cache, &ids, &(GenerateOptions){.sample = {.repetition_penalty = 1, .top_p = 1}, .tokens = 5}, &text);
        expected[i] = i % 3 != 0;
        if (!expected[i]) buf_str(&text, "!");
        JsonWriter w = {0};
        jw_object(&w, NULL), jw_string(&w, "prompt", prompt), jw_string_n(&w, "completion", text.data, text.len), jw_end_object(&w);
        /* greedy bytes may be no UTF-8: such a row cannot be written down, and is left to be wrong */
        Buf right = {0};
        buf_put(&right, text.data, text.len);
        for (size_t k = 0; k < right.len; k++) expected[i] &= (unsigned char)right.data[k] < 0x80;
        buf_put(&rows, w.text.data, w.text.len), buf_char(&rows, '\n');
        cache_free(cache), ids_free(&ids), buf_free(&text), buf_free(&right), buf_free(&w.text);
    }
    Suite s = open_rows("suite.jsonl", rows.data);
    s.tokens = 5;
    ScoreOptions o = {.kind = SCORE_EXACT};
    score_check(&s, &o);
    s.line_ends = false;
    Tick none = {0};
    Scores one = score_suite(&s, m, &o, &none);
    size_t right = 0;
    for (size_t i = 0; i < ROWS; i++) {
        CHECK(one.values[0][i] == expected[i], "row %zu: %g: \"%s\"", i, one.values[0][i], one.texts[i].data);
        right += expected[i];
    }
    CHECK(right > 10 && right < ROWS, "%zu can be right", right);
    thread_limit(3);
    Scores three = score_suite(&s, m, &o, &none);
    thread_limit(1);
    for (size_t i = 0; i < ROWS; i++)
        CHECK(three.texts[i].len == one.texts[i].len && !memcmp(three.texts[i].data, one.texts[i].data, one.texts[i].len), "threads, row %zu", i);
    s.tokens = 0; /* eight more than the right answer has */
    Scores free_length = score_suite(&s, m, &o, &none);
    Buf wanted = {0};
    size_t full = 0;
    for (size_t i = 0; i < ROWS; i++) {
        suite_right(&s, suite_row(&s, i), &wanted);
        CHECK(free_length.reasons[i] != STOP_TOKENS || free_length.texts[i].len == wanted.len + 8, "row %zu: %zu bytes for %zu", i, free_length.texts[i].len,
              wanted.len);
        full += free_length.reasons[i] == STOP_TOKENS;
    }
    CHECK(full > ROWS / 4, "%zu answers ended at their length", full);
    scores_free(&free_length), buf_free(&wanted);
    scores_free(&one), scores_free(&three), suite_free(&s), buf_free(&rows), model_free(m);
}

/* log softmax of the logits in double, by hand. */
static double hand_log_p(const Model *m, const int32_t *ids, size_t context, size_t count) {
    real *logits = mem_new(count * VOCAB, sizeof *logits);
    Cache *cache = cache_new(m, CTX);
    double sum = 0;
    model_decode(m, cache, ids, count - 1, true, logits);
    for (size_t t = context; t < count; t++) {
        double total = 0;
        const real *row = logits + (t - 1) * VOCAB;
        for (size_t v = 0; v < VOCAB; v++) total += d_exp((double)row[v]);
        sum += (double)row[ids[t]] - d_log(total);
    }
    cache_free(cache), mem_free(logits);
    return sum;
}

static bool near(double a, double b) { return (a > b ? a - b : b - a) < 2e-5; }

static void check_choice(const Model *m, const Choices *c, size_t at, const char *context, const char *continuation) {
    Ids ids = {0};
    ids_push(&ids, tokenizer_bos(bytes_tokenizer()));
    tokenizer_encode(bytes_tokenizer(), context, strlen(context), false, &ids);
    size_t begin = ids.count;
    tokenizer_encode(bytes_tokenizer(), continuation, strlen(continuation), false, &ids);
    size_t gone = ids.count > CTX + 1 ? ids.count - CTX - 1 : 0;
    double log_p = hand_log_p(m, ids.data + gone, begin - gone, ids.count - gone);
    CHECK(near(c->log_p[at], log_p), "%s|%s: %.8f, by hand %.8f", context, continuation, c->log_p[at], log_p);
    ids_free(&ids);
}

static void test_choices(void) {
    Model *m = random_model();
    Suite s = open_rows("choice.jsonl", "{\"query\":\"One\",\"choices\":[\"a\",\"bc\"],\"gold\":1}\n{\"query\":\"Two: \\n\",\"choices\":[\"\xC3\xA9\",\"x\",\"yz\"],\"gold\":0}\n"
        "{\"query\":\"\",\"choices\":[\"a\",\"b\"],\"gold\":0}\n{\"query\":\"  \",\"choices\":[\"a\",\"b\"],\"gold\":0}\n"
        "{\"query\":\"a question that is longer than the context has room for\",\"choices\":[\"a\",\"b\"],\"gold\":0}\n"
        "{\"query\":\"One\",\"choices\":[\"a\",\"a\"],\"gold\":0}\n{\"query\":\"One\",\"choices\":[\"a\",\"a\"],\"gold\":1}\n"
        "{\"query\":\"a token more than the context takes in!\",\"choices\":[\"a\",\"b\"],\"gold\":0}\n");
    Tick none = {0};
    Choices c = suite_choices(&s, m, &none);
    CHECK(c.count == 8 && c.first[1] == 2 && c.first[2] == 5 && c.first[5] == 11);
    CHECK(c.acc[5] == 1 && c.acc_norm[5] == 1 && c.acc_bytes[5] == 1 && c.acc[6] == 0 && c.acc_norm[6] == 0, "of equal ones the first");
    check_choice(m, &c, 0, "One", " a"), check_choice(m, &c, 1, "One", " bc");
    check_choice(m, &c, 2, "Two:", " \n \xC3\xA9"), check_choice(m, &c, 3, "Two:", " \n x"), check_choice(m, &c, 4, "Two:", " \n yz");
    check_choice(m, &c, 5, "", " a"), check_choice(m, &c, 7, "", "   a");
    check_choice(m, &c, 10, "a question that is longer than the context has room for", " b");
    check_choice(m, &c, 15, "a token more than the context takes in!", " a");
    for (size_t i = 0; i < 5; i++) {
        const Row *row = suite_row(&s, i);
        size_t best[3] = {0, 0, 0};
        for (size_t k = 0; k < row->choice_count; k++) {
            const double *x = c.log_p + c.first[i];
            size_t bytes = strlen(row->choices[k]), b = strlen(row->choices[best[2]]), chars = *row->choices[k] == '\xC3' ? 1 : bytes,
                   ch = *row->choices[best[1]] == '\xC3' ? 1 : strlen(row->choices[best[1]]);
            if (x[k] > x[best[0]]) best[0] = k;
            if (x[k] / (double)chars > x[best[1]] / (double)ch) best[1] = k;
            if (x[k] / (double)bytes > x[best[2]] / (double)b) best[2] = k;
        }
        CHECK(c.acc[i] == (best[0] == row->gold) && c.acc_norm[i] == (best[1] == row->gold) && c.acc_bytes[i] == (best[2] == row->gold), "item %zu", i);
    }
    double nats[8];
    size_t tokens[8];
    suite_likelihood(&s, m, nats, tokens);
    CHECK(nats[0] == -c.log_p[1] && tokens[0] == 3 && nats[1] == -c.log_p[2], "of the right choice");
    s.delimiter = "";
    Choices bare = suite_choices(&s, m, &none);
    check_choice(m, &bare, 0, "One", "a");
    choices_free(&c), choices_free(&bare), suite_free(&s);
    s = open_rows("empty-choice.jsonl", "{\"query\":\"One\",\"choices\":[\"a\",\"\"],\"gold\":1}\n");
    CHECK_FAILS(2, "line 1: choice 1 is empty", suite_choices(&s, m, &none));
    model_free(m);
}

/* Of a row the tokens that training would learn: the completion and its end token. */
static void test_likelihood(void) {
    Model *m = random_model();
    Suite s = open_rows("rows.jsonl", "{\"prompt\":\"One\",\"completion\":\" a\"}\n{\"prompt\":\"Two\",\"completion\":\" bc\"}\n");
    double nats[2];
    size_t tokens[2];
    suite_likelihood(&s, m, nats, tokens);
    Ids ids = {0};
    int32_t end = tokenizer_bos(bytes_tokenizer());
    ids_push(&ids, end);
    tokenizer_encode(bytes_tokenizer(), "Two bc", 6, false, &ids);
    ids_push(&ids, end);
    CHECK(tokens[0] == 3 && tokens[1] == 4 && near(-nats[1], hand_log_p(m, ids.data, 4, ids.count)), "%.8f", nats[1]);
    ids_free(&ids), suite_free(&s), model_free(m);
}

static void test_refused(void) {
    Suite s = open_rows("text.jsonl", "{\"text\":\"a\"}\n");
    CHECK_FAILS(2, "text.jsonl: line 1: no right answer", score_check(&s, &(ScoreOptions){.kind = SCORE_EXACT}));
    s = open_rows("no-answer.jsonl", "{\"prompt\":\"a\",\"completion\":\"b\"}\n{\"prompt\":\"a\"}\n");
    CHECK_FAILS(2, "no-answer.jsonl: line 2: no right answer", score_check(&s, &(ScoreOptions){.kind = SCORE_EXACT}));
    CHECK_FAILS(2, "--score choice wants", score_check(&s, &(ScoreOptions){.kind = SCORE_CHOICE}));
    s = open_rows("blank.jsonl", "{\"prompt\":\"a\",\"completion\":\" \"}\n");
    CHECK_FAILS(2, "blank.jsonl: line 1: the right answer is empty", score_check(&s, &(ScoreOptions){.kind = SCORE_CONTAINS}));
    s = open_rows("choices.jsonl", "{\"query\":\"One\",\"choices\":[\"a\",\"b\"],\"gold\":1}\n");
    CHECK_FAILS(2, "which --score choice scores", score_check(&s, &(ScoreOptions){.kind = SCORE_JSON}));
}

TESTS({"answers", test_answers}, {"a suite", test_suite}, {"choices", test_choices}, {"likelihood", test_likelihood}, {"refused", test_refused})
