/* The report: numbers and axes as people write them, curves thinned without losing their extremes, every text escaped, and pages of runs
 * of no step, one step and ten thousand. */
#include "../fp.h"
#include "../report.h"
#include "../svg.h"
#include "scratch.h"
#include "test.h"

static const char *number(double x, int digits) {
    static Buf b;
    b.len = 0;
    html_number(&b, x, digits);
    return b.data;
}

static const char *decimals(double x, int places, bool sign) {
    static Buf b;
    b.len = 0;
    html_decimals(&b, x, places, sign);
    return b.data;
}

static void test_numbers(void) {
    static const struct {
        double x;
        int digits;
        const char *text;
    } cases[] = {{0, 4, "0"}, {0.44186775, 4, "0.4419"}, {0.0441867, 4, "0.04419"}, {1.3322765, 4, "1.332"}, {12.3456, 4, "12.35"}, {2200, 15, "2,200"},
                 {1197184, 15, "1,197,184"}, {-0.25, 2, "−0.25"}, {1.5e-7, 4, "1.5e-7"}, {2e-5, 4, "2e-5"}, {999.96, 4, "1,000"}, {0.1 + 0.2, 6, "0.3"},
                 {1e15, 4, "1e15"}, {0.00123456, 3, "0.00123"}, {100, 4, "100"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        CHECK(!strcmp(number(cases[i].x, cases[i].digits), cases[i].text), "%g: %s, not %s", cases[i].x, number(cases[i].x, cases[i].digits), cases[i].text);
    CHECK(!strcmp(number(not_known(), 3), "–"));
    CHECK(!strcmp(decimals(0.0126, 3, true), "+0.013"));
    CHECK(!strcmp(decimals(-0.0004, 3, true), "0.000"));
    CHECK(!strcmp(decimals(-1234.5, 1, true), "−1,234.5"));
    CHECK(!strcmp(decimals(0, 3, true), "0.000"));
}

static void test_text(void) {
    Buf b = {0};
    const char *hostile = "<b a='1' c=\"2\">&\x01\xff" "é" "名\xe2\x80\xae";
    html_text(&b, hostile, strlen(hostile));
    CHECK(!strcmp(b.data, "&lt;b a=&#39;1&#39; c=&quot;2&quot;&gt;&amp;\xef\xbf\xbd\xef\xbf\xbdé名\xef\xbf\xbd"), "%s", b.data);
    b.len = 0;
    CHECK(html_text_short(&b, "abcdef", 6) == 6 && !strcmp(b.data, "abcdef"), "%s", b.data);
    b.len = 0;
    CHECK(html_text_short(&b, "abcdefg", 6) == 6 && !strcmp(b.data, "abcde…"), "%s", b.data);
    b.len = 0;
    CHECK(html_text_short(&b, "名名名名", 6) <= 6 && !strcmp(b.data, "名名…"), "%s", b.data);
    buf_free(&b);
}

static void test_axes(void) {
    Axis a = axis_new(0.13, 0.92, AXIS_ROUND, 6);
    CHECK(a.low == 0 && a.high == 1 && a.count == 6, "%g %g %d", a.low, a.high, a.count);
    a = axis_new(1, 2200, AXIS_TIGHT, 6);
    CHECK(a.low == 1 && a.high == 2200 && a.count == 4 && a.ticks[0] == 500 && a.ticks[3] == 2000, "%d ticks from %g", a.count, a.ticks[0]);
    a = axis_new(1.1, 7.9, AXIS_LOG, 8);
    CHECK(a.log && a.ticks[0] == 1.5 && a.ticks[a.count - 1] == 7, "%g", a.ticks[0]);
    a = axis_new(-1, 7.9, AXIS_LOG, 8);
    CHECK(!a.log);
    for (int i = 0; i < 3; i++) {
        double low[] = {5, 0, -3};
        a = axis_new(low[i], low[i], i == 1 ? AXIS_TIGHT : AXIS_ROUND, 4);
        CHECK(a.low < low[i] && a.high > low[i] && a.count >= 2, "%g: %g %g %d", low[i], a.low, a.high, a.count);
    }
    for (uint64_t i = 0; i < 2000; i++) { /* whatever the range: it is held, ticks ascend inside it and are not too many */
        double low = d_exp(40 * ((double)rng_uniform(1, RNG_TEST, i, 0) - 0.5)), high = low * d_exp(20 * (double)rng_uniform(1, RNG_TEST, i, 1));
        AxisKind kind = (AxisKind)(i % 3);
        a = axis_new(low, high, kind, 6);
        bool good = a.low <= low && a.high >= high && a.count >= (kind == AXIS_TIGHT ? 1 : 2) - (kind == AXIS_LOG) && a.count <= 8;
        for (int k = 0; k < a.count; k++)
            good = good && axis_place(&a, a.ticks[k]) > -1e-6 && axis_place(&a, a.ticks[k]) < 1 + 1e-6 && (!k || a.ticks[k] > a.ticks[k - 1]);
        CHECK(good, "%g … %g, kind %d: %d ticks, %g … %g", low, high, (int)kind, a.count, a.low, a.high);
    }
}

/* Every tag is closed in order, and no id stands twice. */
static bool well_formed(const char *page, const char **where) {
    const char *stack[64], *ids[512];
    size_t lengths[64], depth = 0, id_count = 0, id_lengths[512];
    for (const char *at = page; (at = strchr(at, '<')); at++) {
        const char *end = strchr(at, '>'), *name = at + 1 + (at[1] == '/');
        size_t n = strcspn(name, " >/");
        *where = at;
        if (!end || depth == 64) return false;
        if (at[1] == '!' || !strncmp(name, "meta", n)) continue;
        if (at[1] == '/') {
            if (!depth || lengths[depth - 1] != n || strncmp(stack[depth - 1], name, n)) return false;
            depth--;
        } else if (end[-1] != '/') stack[depth] = name, lengths[depth++] = n;
        const char *id = strstr(at, " id=\"");
        if (id && id < end) {
            id += 5;
            for (size_t i = 0; i < id_count; i++)
                if (id_lengths[i] == strcspn(id, "\"") && !strncmp(ids[i], id, id_lengths[i])) return false;
            if (id_count < 512) id_lengths[id_count] = strcspn(id, "\""), ids[id_count++] = id;
        }
    }
    return depth == 0;
}

static const char *make_run(const char *name, size_t steps, size_t evals, const char *sample) {
    Buf log = {0};
    const char *dir = scratch(name);
    os_make_dir(dir);
    for (size_t i = 1; i <= steps; i++) {
        JsonWriter w = {0};
        jw_object(&w, NULL);
        jw_int(&w, "v", 1), jw_uint(&w, "step", i), jw_float(&w, "loss", i == steps / 3 + 1 ? 55.5F : 2 + rng_uniform(1, RNG_TEST, i, 2));
        jw_float(&w, "lr", 1e-4F), jw_float(&w, "grad_norm", 1 + rng_uniform(1, RNG_TEST, i, 3)), jw_uint(&w, "tokens", 100 * i), jw_end_object(&w);
        buf_put(&log, w.text.data, w.text.len), buf_char(&log, '\n'), buf_free(&w.text);
        if (!evals || i % (steps / evals) != 0) continue;
        buf_format(&log, "{\"v\":1,\"step\":%zu,\"valid_loss\":2.25,\"valid_bpb\":0.75,\"best\":true}\n", i);
        buf_format(&log, "{\"v\":1,\"step\":%zu,\"sample\":", i), json_quote(&log, sample, strlen(sample)), buf_str(&log, "}\n");
    }
    buf_str(&log, "{\"v\":1,\"step\":");    /* the line that a power cut left */
    char *path = os_join(dir, "log.jsonl"), *run = os_join(dir, "run.json");
    os_write_file(path, log.data, log.len);
    const char *settings = "{\"v\":1,\"command\":\"train\",\"settings\":{\"template\":\"<script>alert(1)</script>\"},\"inputs\":{\"data\":\"00ff\"},"
                           "\"model\":{\"parameters\":1000,\"trainable\":10}}";
    os_write_file(run, settings, strlen(settings));
    buf_free(&log), mem_free(path), mem_free(run);
    return dir;
}

static Buf page_of(const char *const *dirs, size_t count, double floor) {
    Report r = {.floor = floor, .runs = mem_new(count, sizeof(RunLog)), .run_count = count};
    for (size_t i = 0; i < count; i++) r.runs[i] = run_log_read(dirs[i]);
    Buf page = report_page(&r);
    for (size_t i = 0; i < count; i++) run_log_free(&r.runs[i]);
    mem_free(r.runs);
    return page;
}

static void test_pages(void) {
    static const struct {
        const char *name;
        size_t steps, evals;
    } runs[] = {{"none", 0, 0}, {"one", 1, 1}, {"two & <i>名前", 2, 0}, {"long", 10000, 1000}};
    const char *sample = "He said: \"<img src=x onerror=alert(1)>\" & left. Straße 名前", *dirs[4], *where = "";
    for (size_t i = 0; i < 4; i++) {
        dirs[i] = make_run(runs[i].name, runs[i].steps, runs[i].evals, sample);
        Buf page = page_of(&dirs[i], 1, 0.5), again = page_of(&dirs[i], 1, 0.5);
        CHECK(well_formed(page.data, &where), "%s: %.60s", runs[i].name, where);
        CHECK(page.len == again.len && !memcmp(page.data, again.data, page.len), "%s: other bytes the second time", runs[i].name);
        CHECK(page.len < 2000000, "%s: %zu bytes", runs[i].name, page.len);
        CHECK(!strstr(page.data, "<script") && !strstr(page.data, "<img") && !strstr(page.data, "http:") && !strstr(page.data, "https:"));
        CHECK(!strstr(page.data, "nan") && !strstr(page.data, "inf\""), "%s: a number that is none", runs[i].name);
        CHECK((strstr(page.data, "<svg") != NULL) == (runs[i].steps > 0), "%s", runs[i].name);
        CHECK((strstr(page.data, "&lt;img src=x onerror=alert(1)&gt;&quot; &amp; left. Straße 名前") != NULL) == (runs[i].evals > 0), "%s", runs[i].name);
        CHECK((strstr(page.data, "class=\"floor\"") != NULL) == (runs[i].evals > 0), "%s: the floor", runs[i].name);
        buf_free(&page), buf_free(&again);
    }
    Buf page = page_of(dirs, 4, not_known());
    CHECK(well_formed(page.data, &where), "%.60s", where);
    CHECK(strstr(page.data, "two &amp; &lt;i&gt;名前") != NULL);
    buf_free(&page);
}

/* The one step of 10,000 whose loss is far above the others is drawn at its height, wherever in its pixel it stands; so is the lowest. */
static void test_extremes(void) {
    enum { N = 10000 };
    static double x[N], y[N];
    Series s = {.x = x, .y = y, .count = N, .line = true};
    Chart c = {.id = "t", .title = "t", .desc = "t", .width = 480, .height = 300, .floor = not_known(), .series = &s, .count = 1};
    Buf b = {0};
    for (int shift = 0; shift < 40; shift++, b.len = 0) {
        for (int i = 0; i < N; i++) x[i] = i, y[i] = i == 7777 + shift ? 100 : i == 1234 + shift ? 0 : 50 + i % 2;
        svg_chart(&b, &c);
        CHECK(b.len < 40000, "%zu bytes", b.len);
        CHECK(strstr(b.data, " 10L") != NULL, "the peak at %d is not at the top", 7777 + shift);
        CHECK(strstr(b.data, " 276L") != NULL, "the trough at %d is not at the bottom", 1234 + shift);
    }
    y[5] = not_known(), y[6] = 1e300; /* breaks the line, and bends no axis */
    svg_chart(&b, &c);
    CHECK(strstr(b.data, " 10L") != NULL && strstr(strstr(b.data, "d=\"M") + 4, "M") != NULL);
    buf_free(&b);
}

/* Results of forget whose names are hostile, with what is not known in every place that may be. */
static void test_results(void) {
    static const char *const texts[] = {
        "{\"format\":\"finetune.c forgetting\",\"base\":{\"name\":\"<b>base\"},\"models\":[{\"name\":\"a<script>\",\"parts\":[{\"part\":\"layer 0\",\"layer\":0,"
        "\"relative\":0.1},{\"part\":\"layer 1\",\"layer\":1,\"relative\":null}]},{\"name\":\"b\"}],\"suites\":[{\"name\":\"s\\\"1\",\"kind\":\"task\",\"measure\":"
        "\"exact\",\"items\":3,\"chance\":0.1,\"known\":false,\"before\":{\"score\":0.1,\"low\":0,\"high\":0.2},\"after\":[{\"model\":\"a<script>\",\"score\":0,"
        "\"change\":-0.1,\"change_low\":-0.2,\"change_high\":0}]},{\"name\":\"t\",\"kind\":\"text\",\"measure\":\"bits a byte\",\"items\":3,\"before\":{\"score\":1,\"low\":"
        "null,\"high\":null},\"after\":[{\"model\":\"b\",\"score\":1.5,\"change\":0.5,\"change_low\":null,\"change_high\":null,\"kl\":0.25}]}],\"sequence\":{\"tasks\":"
        "[\"s\",\"<t>\"],\"before\":[0,0],\"rows\":[[1,0],[0.5,null]],\"joint\":[1,1],\"acc\":0.5,\"bwt\":-0.5},\"relearn\":[{\"suite\":\"s\",\"model\":\"b\",\"scores\":"
        "[0.1],\"back\":null}]}",
        "{\"format\":\"finetune.c frontier\",\"task\":\"<t>\",\"tau\":0.5,\"forgetting_is\":\"d\",\"cells\":[{\"method\":\"m<\",\"rate\":0.1,\"curve\":[{\"step\":0,"
        "\"learning\":0,\"forgetting\":0},{\"step\":5,\"learning\":0.6,\"forgetting\":0.1}],\"matched\":{\"step\":5,\"learning\":0.6,\"forgetting\":0.1}},{\"method\":\"n\","
        "\"rate\":0.1,\"curve\":[],\"matched\":null}]}"};
    static const char *const expected[][3] = {{"a&lt;script&gt;", "not known", "none of these"}, {"m&lt;", "not reached", "&lt;t&gt;"}};
    JsonDoc *docs[4];
    for (int i = 0; i < 4; i++) docs[i] = json_parse(texts[i % 2], strlen(texts[i % 2]), "result.json", 1);
    Report r = {.floor = not_known(), .results = docs, .result_count = 4}; /* each twice: ids must not meet */
    Buf page = report_page(&r);
    const char *where = "";
    CHECK(well_formed(page.data, &where), "%.60s", where);
    CHECK(!strstr(page.data, "<script") && !strstr(page.data, "nan"));
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < 3; k++) CHECK(strstr(page.data, expected[i][k]) != NULL, "no \"%s\"", expected[i][k]);
    for (int i = 0; i < 4; i++) json_free(docs[i]);
    buf_free(&page);
    const char *text = "{\"format\":\"finetune.c forgetting\",\"base\":{\"name\":\"b\"},\"models\":3}";
    JsonDoc *bad = json_parse(text, strlen(text), "bad.json", 1);
    CHECK_FAILS(2, "bad.json", report_result(&page, &(Report){0}, bad, 1));
}

static void test_refusals(void) {
    os_make_dir(scratch("empty"));
    CHECK_FAILS(2, "no run.json", run_log_read(scratch("empty")));
    os_make_dir(scratch("broken"));
    scratch_text("broken/run.json", "{}"), scratch_text("broken/log.jsonl", "{\"step\":1,\"loss\":1}\n{\"step\":\"x\",\"loss\":1}\n");
    CHECK_FAILS(2, "broken/log.jsonl: line 2", run_log_read(scratch("broken")));
    scratch_text("broken/log.jsonl", "[1]\n");
    CHECK_FAILS(2, "expected an object", run_log_read(scratch("broken")));
    Buf b = {0};
    JsonDoc *doc = json_parse("{\"format\":\"other\"}", 18, "other.json", 1);
    CHECK_FAILS(2, "other.json: neither", report_result(&b, &(Report){0}, doc, 1));
    json_free(doc);
}

/* A tuned model that is one of the runs above has that run's colour, another one a colour that no run has. */
static void test_colors(void) {
    RunLog runs[2] = {{.name = "base"}, {.name = "full"}};
    Report report = {.runs = runs, .run_count = 2};
    static const char text[] = "{\"format\":\"finetune.c forgetting\",\"base\":{\"name\":\"base\"},\"suites\":[],"
                               "\"models\":[{\"name\":\"other\",\"parts\":[]},{\"name\":\"full\",\"parts\":[]}]}";
    Buf b = {0};
    JsonDoc *doc = json_parse(text, sizeof text - 1, "forget.json", 1);
    report_result(&b, &report, doc, 1);
    CHECK(strstr(b.data, "<li class=\"c2\">other</li><li class=\"c1\">full</li>") != NULL, "%s", b.data);
    json_free(doc), buf_free(&b);
}

TESTS({"numbers", test_numbers}, {"text", test_text}, {"axes", test_axes}, {"pages", test_pages}, {"extremes", test_extremes}, {"results", test_results},
      {"refusals", test_refusals}, {"colors", test_colors})
