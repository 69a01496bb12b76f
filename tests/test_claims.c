/* The claims: their rows are what they say, the form of an answer, figures over seeds and items against sums by hand. */
#include "../claims.h"
#include "../fp.h"
#include "../os.h"
#include "scratch.h"
#include "test.h"

static Lab lab(size_t seeds) {
    static const StoriesSize size = {.bytes = 1000, .valid = 1, .items = 200, .rows = 300};
    os_make_dir(scratch("data"));
    if (!os_exists(scratch("world"))) stories_write(scratch("world"), 1, &size);
    return (Lab){.out = scratch_dir, .world = str_copy(scratch("world")), .seeds = seeds};
}

/* ---- rows ---- */

typedef struct {
    char *prompt, *completion;
} Pair;

static size_t read_pairs(char *path, Pair *pairs, size_t most) {
    Buf text = os_read(path);
    size_t n = 0;
    for (char *line = text.data, *end; (end = strchr(line, '\n')); line = end + 1, n++) {
        if (n == most) break;
        JsonDoc *doc = json_parse(line, (size_t)(end - line), path, n + 1);
        pairs[n].prompt = str_copy(json_need(doc, json_root(doc), "prompt", JSON_STRING)->string);
        pairs[n].completion = str_copy(json_need(doc, json_root(doc), "completion", JSON_STRING)->string);
        json_free(doc);
    }
    buf_free(&text), mem_free(path);
    return n;
}

enum { N = 200 };

static size_t different(const Pair *pairs, size_t n) {
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        size_t k = 0;
        while (k < i && (strcmp(pairs[k].prompt, pairs[i].prompt) || strcmp(pairs[k].completion, pairs[i].completion))) k++;
        count += k == i;
    }
    return count;
}

static void test_rows(void) {
    Lab l = lab(1);
    Pair clean[N], part[N], wrong[N], repeated[N];
    size_t n = read_pairs(data_rows(&l, TASK_JSON, 0, N), clean, N);
    CHECK(n == N && different(clean, N) == N, "%zu rows, %zu different", n, different(clean, n));
    n = read_pairs(data_rows(&l, TASK_JSON, 150, 50), part, N);
    CHECK(n == 50 && !strcmp(part[0].prompt, clean[150].prompt) && !strcmp(part[49].completion, clean[199].completion), "rows from 150 on");
    for (int share = 0; share <= 50; share += 10) {
        size_t bad = 0, other = 0;
        read_pairs(data_wrong(&l, TASK_JSON, N, share / 100.0), wrong, N);
        for (size_t i = 0; i < N; i++) bad += strcmp(clean[i].completion, wrong[i].completion) != 0, other += strcmp(clean[i].prompt, wrong[i].prompt) != 0;
        CHECK(bad == (size_t)(N * share / 100) && !other, "%d %% wrong: %zu of %d, %zu other questions", share, bad, N, other);
        read_pairs(data_repeated(&l, TASK_JSON, N, share / 100.0), repeated, N);
        CHECK(different(repeated, N) == (size_t)(N - N * share / 100), "%d %% repeated: %zu different", share, different(repeated, N));
    }
}

static void test_joint(void) {
    static const Task tasks[] = {TASK_SUPPORT, TASK_CODE};
    Lab l = lab(1);
    Pair pairs[N];
    size_t n = read_pairs(data_joint(&l, tasks, 2, 10), pairs, N), forms = 0;
    for (size_t i = 0; i < n; i++) forms += task_form(tasks[i % 2], pairs[i].completion);
    CHECK(n == 20 && forms == 20, "%zu rows, %zu of the form of their task", n, forms);
}

static void test_earlier(void) {
    static const Task tasks[] = {TASK_JSON};
    Lab l = lab(1);
    char *path = data_earlier(&l, 1, 5, tasks, 1, 3);
    Buf text = os_read(path), document = {0}, completion = {0};
    size_t n = 0;
    for (char *line = text.data, *end; (end = strchr(line, '\n')); line = end + 1, n++) {
        JsonDoc *doc = json_parse(line, (size_t)(end - line), path, n + 1);
        document.len = completion.len = 0;
        if (n < 5) mixture_document(&document, 1, n);
        else task_item(&document, &completion, 1, TASK_JSON, false, n - 5), buf_put(&document, completion.data, completion.len);
        CHECK(!strcmp(json_need(doc, json_root(doc), "text", JSON_STRING)->string, document.data), "row %zu", n);
        json_free(doc);
    }
    CHECK(n == 8, "%zu rows", n);
}

/* Wording 0 is the report half of the test that stories writes; the others ask the same in words that training rows do not have. */
static void test_wordings(void) {
    Lab l = lab(1);
    for (int t = 0; t < TASKS; t++) {
        Pair test[N], own[N], other[N];
        char *path = str_format("%s/task-%s-test.jsonl", scratch("world"), task_names[t]);
        CHECK(read_pairs(path, test, N) == N && read_pairs(data_wording(&l, (Task)t, 0), own, N) == N / 2, "%s: sizes", task_names[t]);
        for (size_t i = 0; i < N / 2; i++)
            CHECK(!strcmp(own[i].prompt, test[2 * i + 1].prompt) && !strcmp(own[i].completion, test[2 * i + 1].completion), "%s, item %zu", task_names[t], i);
        for (size_t w = 1; w < WORDINGS; w++) {
            size_t changed = 0, answers = 0;
            read_pairs(data_wording(&l, (Task)t, w), other, N);
            for (size_t i = 0; i < N / 2; i++)
                changed += strcmp(own[i].prompt, other[i].prompt) != 0, answers += !strcmp(own[i].completion, other[i].completion);
            CHECK(changed >= 60 && answers == N / 2, "%s, wording %zu: %zu questions changed, %zu answers kept", task_names[t], w, changed, answers);
        }
    }
}

/* ---- the form of an answer ---- */

static void test_form(void) {
    Buf prompt = {0}, completion = {0};
    for (int t = 0; t < TASKS; t++)
        for (uint64_t i = 0; i < 100; i++) {
            prompt.len = completion.len = 0;
            task_item(&prompt, &completion, 1, (Task)t, i % 2, i);
            CHECK(task_form((Task)t, completion.data), "%s: %s", task_names[t], completion.data);
            for (int other = 0; other < TASKS; other++) CHECK(other == t || !task_form((Task)other, completion.data), "%s as %s", completion.data, task_names[other]);
        }
    static const struct {
        Task task;
        const char *answer;
        bool form;
    } cases[] = {
        {TASK_JSON, " {\"a\": 1, \"b\": 2, \"c\": 3}", true},    {TASK_JSON, " {\"a\": 1, \"b\": 2}", false},
        {TASK_JSON, " {\"a\": 1, \"b\": 2, \"b\": 3}", false},   {TASK_JSON, " {\"a\": 1, \"b\": 2, \"c\": 3.5}", false},
        {TASK_JSON, " {\"a\": 1, \"b\": \"2\", \"c\": 3}", false}, {TASK_JSON, " {\"a\": 1, \"b\": 2, \"c\": 3} and", false},
        {TASK_JSON, " [1, 2, 3]", false},                        {TASK_JSON, "", false},
        {TASK_CODE, " = 5; + 2; *", true},                       {TASK_CODE, " = 5; *", false},
        {TASK_CODE, " = 5; + 2; - 1; + 9; *", true},             {TASK_CODE, " = 5; + 2; - 1; + 9; + 1; *", false},
        {TASK_CODE, " = 5; + ; *", false},                       {TASK_CODE, " + 5; + 2; *", false},
        {TASK_CODE, " = 5; = 2; *", false},                      {TASK_CODE, " = 5; + 2; *;", false},
        {TASK_CODE, " = 5; + 2", false},                         {TASK_CODE, "", false},
        {TASK_SUPPORT, " The kite is 12 nuts, Amy. Then you will be happy.", true},
        {TASK_SUPPORT, " The kite is nuts, Amy. Then you will be happy.", false},
        {TASK_SUPPORT, " The kite is 12 nuts, Amy.", false},
        {TASK_SUPPORT, "The kite is 12 nuts, Amy. Then you will be happy.", false},
        {TASK_SUPPORT, " The kite is 12 x nuts, Amy. Then you will be happy.", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        CHECK(task_form(cases[i].task, cases[i].answer) == cases[i].form, "%s: \"%s\"", task_names[cases[i].task], cases[i].answer);
}

/* ---- figures ---- */

static const Json *results(const char *text) { return json_root(json_parse(text, strlen(text), "results", 1)); }
static bool near(double a, double b) { return a - b < 1e-9 && b - a < 1e-9; }

static void test_one_seed(void) {
    Lab l = lab(1);
    const Json *before = results("[{\"items\":{\"json\":\"1010100000\"}}]"), *after = results("[{\"items\":{}},{\"items\":{\"json\":\"1110111111\"}}]");
    Interval s = score_over(&l, &before, 0, "json"), c = change_over(&l, &before, 0, &after, 1, "json");
    /* Wilson, 3 of 10 */
    CHECK(near(s.value, 0.3) && s.low > 0.1077 && s.low < 0.1079 && s.high > 0.6031 && s.high < 0.6033, "%g [%g, %g]", s.value, s.low, s.high);
    /* Agresti and Min: 6 better, 0 worse of 10; (6.5 - 0.5)/12 = 0.5, ± 1.96 sqrt(7 - 36/12)/12 */
    CHECK(near(c.value, 0.6) && near(c.low, 0.5 - 1.959963984540054 * 2 / 12) && near(c.high, 0.5 + 1.959963984540054 * 2 / 12), "%g [%g, %g]", c.value, c.low, c.high);
    CHECK(!strcmp(verdict(c), "more") && !strcmp(verdict((Interval){-1, -2, -0.1}), "less") && !strcmp(verdict((Interval){0.1, 0, 0.2}), "not told apart"), "verdicts");
}

static void test_two_seeds(void) {
    Lab l = lab(2);
    const Json *a[] = {results("[{\"items\":{\"json\":\"1100\"}}]"), results("[{\"items\":{\"json\":\"1110\"}}]")};
    const Json *b[] = {results("[{\"items\":{\"json\":\"1111\"}}]"), results("[{\"items\":{\"json\":\"1111\"}}]")};
    /* items' means 1 1 .5 0: deviation sqrt(.6875/3), t(3) = 3.18245; seeds' means .5 .75: error .125, t(1) = 12.7062 */
    double items = 3.182446305284263 * d_sqrt(0.6875 / 3 / 4), seeds = 12.706204736432095 * 0.125, half = d_sqrt(items * items + seeds * seeds);
    Interval s = score_over(&l, a, 0, "json"), c = change_over(&l, a, 0, b, 0, "json");
    CHECK(near(s.value, 0.625) && near(s.high - s.value, half) && near(s.value - s.low, half), "%.12g ± %.12g, not %.12g", s.value, s.high - s.value, half);
    CHECK(near(c.value, 0.375) && near(c.high - c.value, half) && near(c.value - c.low, half), "%.12g ± %.12g, not %.12g", c.value, c.high - c.value, half);
    double numbers[] = {1, 3};
    Interval n = number_over(numbers, 2);
    CHECK(near(n.value, 2) && near(n.high, 2 + 12.706204736432095), "%g %g", n.value, n.high);
}

static void test_skills(void) {
    Lab l = lab(1);
    const Json *r = results("[{\"items\":{\"words\":\"11\",\"form\":\"0001\",\"numbers\":\"10\",\"reading\":\"0000\",\"json\":\"1111\"}}]");
    CHECK(near(score_over(&l, &r, 0, "skills").value, 4.0 / 12), "%g", score_over(&l, &r, 0, "skills").value);
}

/* A file of its own: the namespace, the size, a style; and the longest name whole. */
static void test_picture(void) {
    const char *rows[] = {"all", "distillation, earlier texts"};
    double x[] = {0.5, 0.25}, low[] = {0.25, 0}, high[] = {0.75, 0.5};
    Series s = {.x = x, .x_low = low, .x_high = high, .count = 2, .color = 1};
    Buf a = {0}, b = {0};
    page_picture(&a, &(Forest){.id = "a", .title = "t", .desc = "d", .x_name = "x", .rows = rows, .row_count = 2, .series = &s, .count = 1});
    CHECK(str_starts(a.data, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 480 ") && strstr(a.data, "<style>") && str_ends(a.data, "</svg>\n</svg>\n"), "frame");
    CHECK(strstr(a.data, ">distillation, earlier texts<") && strstr(a.data, ">all<"), "names");
    page_picture(&b, &(Forest){.id = "a", .title = "t", .desc = "d", .x_name = "x", .rows = rows, .row_count = 1, .series = &s, .count = 1});
    CHECK(strstr(b.data, ">all<") && !strstr(b.data, "distillation"), "one row");
}

TESTS({"a picture", test_picture}, {"rows with errors and repetitions", test_rows}, {"rows of several tasks", test_joint}, {"earlier texts", test_earlier}, {"other words", test_wordings},
      {"form", test_form}, {"figures of one seed", test_one_seed}, {"figures of two seeds", test_two_seeds}, {"four skills in one", test_skills})
