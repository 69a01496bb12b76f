/* The sections that show what forget found: suites before and after, what stands under the form, drift, the R matrix, the frontier. */
#include "fp.h"
#include "os.h"
#include "report.h"
#include "svg.h"

#include <string.h>

enum { WIDTH = 480, FRONTIER = 360, LAYERS = 240, SERIES_MOST = 64 };

typedef struct {
    const Report *report;
    const JsonDoc *doc;
    const Json *root, *models, *suites;
    size_t number;                    /* of the file: makes ids unique */
} Result;

static double number_of(const Result *r, const Json *object, const char *key) { return json_double(r->doc, object, key, not_known()); }
static double item_number(const Json *item) { return item->kind == JSON_NUMBER ? item->number : not_known(); }
static const char *text_of(const Result *r, const Json *object, const char *key) { return json_need(r->doc, object, key, JSON_STRING)->string; }
static const char *id_of(const Result *r, const char *name) { return str_format("%s-%zu", name, r->number); }

/* The entry of a list whose member "model" is the name; NULL: there is none. */
static const Json *of_model(const Result *r, const Json *list, const char *name) {
    for (size_t i = 0; i < list->count; i++)
        if (!strcmp(text_of(r, &list->items[i], "model"), name)) return &list->items[i];
    return NULL;
}

static const char *model_name(const Result *r, size_t i) { return text_of(r, &r->models->items[i], "name"); }
static bool is_text(const Result *r, const Json *suite) { return !strcmp(text_of(r, suite, "kind"), "text"); }

/* Of a model that is one of the runs drawn above: the run's. The others' come after those. */
static int model_color(const Result *r, size_t i) {
    for (size_t run = 0; run < r->report->run_count; run++)
        if (!strcmp(r->report->runs[run].name, model_name(r, i))) return (int)run;
    return (int)(r->report->run_count + i);
}

static void put_key(Buf *out, const Result *r) {
    buf_str(out, "<ul class=\"key\">");
    for (size_t i = 0; i < r->models->count; i++) {
        buf_format(out, "<li class=\"c%d\">", model_color(r, i) % 8);
        put_format_text(out, "", model_name(r, i), "</li>");
    }
    buf_str(out, "</ul>\n");
}

/* ---- change by suite ---- */

/* A suite that the base did not know can only be learned: its change is shown where it is one. */
static bool shows_change(const Result *r, const Json *suite, const Json *after) {
    return after && (json_bool(r->doc, suite, "known", true) || number_of(r, after, "change_low") > 0);
}

static void put_change_chart(Buf *out, const Result *r, bool text, const char *caption, const char *unit) {
    const char **rows = mem_new(r->suites->count, sizeof *rows);
    Series series[SERIES_MOST] = {{0}};
    size_t count = 0, models = r->models->count < SERIES_MOST ? r->models->count : SERIES_MOST;
    double *values = mem_new(3 * models * r->suites->count, sizeof *values), *at = values;
    for (size_t i = 0; i < models; i++) {
        series[i] = (Series){.x = at, .x_low = at + r->suites->count, .x_high = at + 2 * r->suites->count,
                             .color = model_color(r, i)};
        count = 0;
        for (size_t j = 0; j < r->suites->count; j++) {
            const Json *suite = &r->suites->items[j], *after = of_model(r, json_need(r->doc, suite, "after", JSON_ARRAY), model_name(r, i));
            if (is_text(r, suite) != text) continue;
            bool known = shows_change(r, suite, after);
            rows[count] = text_of(r, suite, "name");
            at[count] = known ? number_of(r, after, "change") : not_known();
            at[count + r->suites->count] = known ? number_of(r, after, "change_low") : not_known();
            at[count + 2 * r->suites->count] = known ? number_of(r, after, "change_high") : not_known();
            count++;
        }
        series[i].count = count, at += 3 * r->suites->count;
    }
    double low, high;
    if (count && series_range(series, models, true, &low, &high)) {
        Forest f = {.id = id_of(r, text ? "bits" : "scores"), .title = caption, .desc = "The figures stand in the table below.", .x_name = unit,
                    .rows = rows, .row_count = count, .series = series, .count = models};
        put_format_text(out, "<figure>\n<figcaption>", caption, " <span>with 95 % intervals over items</span></figcaption>\n");
        svg_forest(out, &f);
        buf_str(out, "</figure>\n");
    }
    mem_free(rows), mem_free(values);
}

static void put_interval(Buf *out, double low, double high, bool sign) {
    buf_str(out, "<small>["), html_decimals(out, low, 3, sign), buf_str(out, ", "), html_decimals(out, high, 3, sign), buf_str(out, "]</small>");
}

/* A change whose interval excludes 0 is coloured; less is worse for scores, more for bits. */
static void put_change(Buf *out, const Result *r, const Json *after, bool lower_is_better) {
    double change = number_of(r, after, "change"), low = number_of(r, after, "change_low"), high = number_of(r, after, "change_high");
    bool sure = low > 0 || high < 0, worse = lower_is_better ? change > 0 : change < 0;
    buf_str(out, "<td>");
    html_decimals(out, number_of(r, after, "score"), 3, false);
    put_format_text(out, "<small", sure ? worse ? " class=worse" : " class=better" : "", ">");
    html_decimals(out, change, 3, true);
    buf_str(out, " ["), html_decimals(out, low, 3, true), buf_str(out, ", "), html_decimals(out, high, 3, true), buf_str(out, "]</small></td>");
}

static void put_suites(Buf *out, const Result *r) {
    const char **head = mem_new(r->models->count + 5, sizeof *head);
    size_t n = 0;
    head[n++] = "Suite", head[n++] = "Measure", head[n++] = "Items", head[n++] = "Chance", head[n++] = "Before";
    for (size_t i = 0; i < r->models->count; i++) head[n++] = model_name(r, i);
    begin_table(out, "Before and after");
    put_head(out, head, n);
    for (size_t j = 0; j < r->suites->count; j++) {
        const Json *suite = &r->suites->items[j], *before = json_need(r->doc, suite, "before", JSON_OBJECT);
        put_row_head(out, text_of(r, suite, "name"));
        put_format_text(out, "<td>", text_of(r, suite, "measure"), "</td><td>");
        html_number(out, number_of(r, suite, "items"), 15), buf_str(out, "</td><td>");
        html_number(out, number_of(r, suite, "chance"), 2), buf_str(out, "</td><td>");
        html_decimals(out, number_of(r, before, "score"), 3, false);
        put_interval(out, number_of(r, before, "low"), number_of(r, before, "high"), false), buf_str(out, "</td>");
        for (size_t i = 0; i < r->models->count; i++) {
            const Json *after = of_model(r, json_need(r->doc, suite, "after", JSON_ARRAY), model_name(r, i));
            if (!after) buf_str(out, "<td>–</td>");
            else if (shows_change(r, suite, after)) put_change(out, r, after, is_text(r, suite));
            else buf_str(out, "<td>"), html_decimals(out, number_of(r, after, "score"), 3, false), buf_str(out, "<small>not known</small></td>");
        }
        buf_str(out, "</tr>\n");
    }
    end_table(out);
    mem_free(head);
    buf_str(out, "<p class=\"soft\">Changes are paired over the items, with 95 % intervals; coloured where the interval excludes 0. "
                 "“not known”: the score before includes chance, so there was nothing to forget; what was learned is shown.</p>\n");
}

/* ---- what stands under the form ---- */

static void put_knowledge_row(Buf *out, const Result *r, const char *model, const Json *score) {
    static const char *const keys[] = {"score", "kept", "likelihood", "choice", "form"};
    put_format_text(out, "<th scope=\"row\" class=\"text\">", model, "</th>");
    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
        buf_str(out, "<td>");
        double x = number_of(r, score, keys[k]);
        if (is_finite(x)) html_decimals(out, x, 3, false);
        else buf_str(out, "–");
        buf_str(out, "</td>");
    }
    buf_str(out, "</tr>\n");
}

static void put_knowledge(Buf *out, const Result *r) {
    static const char *const head[] = {"Suite", "Model", "Exact", "Kept above chance", "Log-likelihood of the right answer", "Right among distractors",
                                       "Form kept"};
    size_t tasks = 0;
    for (size_t j = 0; j < r->suites->count; j++) tasks += !is_text(r, &r->suites->items[j]);
    if (!tasks) return;
    begin_table(out, "A lost form is not lost knowledge");
    put_head(out, head, sizeof head / sizeof *head);
    for (size_t j = 0; j < r->suites->count; j++) {
        const Json *suite = &r->suites->items[j], *after = json_need(r->doc, suite, "after", JSON_ARRAY);
        if (is_text(r, suite)) continue;
        buf_format(out, "<tr><th scope=\"rowgroup\" rowspan=\"%zu\">", after->count + 1);
        put_format_text(out, "", text_of(r, suite, "name"), "</th>");
        put_knowledge_row(out, r, "base", json_need(r->doc, suite, "before", JSON_OBJECT));
        for (size_t i = 0; i < after->count; i++) buf_str(out, "<tr>"), put_knowledge_row(out, r, text_of(r, &after->items[i], "model"), &after->items[i]);
    }
    end_table(out);
}

/* How few rows of the old task brought it back. */
static void put_relearned(Buf *out, const Result *r) {
    static const char *const head[] = {"Suite", "Model", "Rows that bring it back", "Score after 1, 2, 4, … rows"};
    const Json *list = json_get(r->root, "relearn");
    if (!list || list->kind != JSON_ARRAY || !list->count) return;
    begin_table(out, "How few old examples bring it back");
    put_head(out, head, sizeof head / sizeof *head);
    for (size_t i = 0; i < list->count; i++) {
        const Json *one = &list->items[i], *scores = json_need(r->doc, one, "scores", JSON_ARRAY);
        double back = number_of(r, one, "back");
        put_row_head(out, text_of(r, one, "suite"));
        put_format_text(out, "<th scope=\"row\" class=\"text\">", text_of(r, one, "model"), "</th><td>");
        if (is_finite(back)) html_number(out, back, 15);
        else buf_str(out, "none of these");
        buf_str(out, "</td><td>");
        for (size_t k = 0; k < scores->count; k++) buf_str(out, k ? ", " : ""), html_decimals(out, item_number(&scores->items[k]), 3, false);
        buf_str(out, "</td></tr>\n");
    }
    end_table(out);
}

/* ---- drift ---- */

static void put_drift(Buf *out, const Result *r) {
    const char **head = mem_new(r->models->count + 1, sizeof *head);
    head[0] = "Inputs";
    for (size_t i = 0; i < r->models->count; i++) head[i + 1] = model_name(r, i);
    begin_table(out, "Drift of the answers: KL(base ‖ tuned), nats a token");
    put_head(out, head, r->models->count + 1);
    for (size_t j = 0; j < r->suites->count; j++) {
        const Json *suite = &r->suites->items[j];
        put_row_head(out, text_of(r, suite, "name"));
        for (size_t i = 0; i < r->models->count; i++) {
            const Json *after = of_model(r, json_need(r->doc, suite, "after", JSON_ARRAY), model_name(r, i));
            buf_str(out, "<td>"), html_decimals(out, after ? number_of(r, after, "kl") : not_known(), 4, false), buf_str(out, "</td>");
        }
        buf_str(out, "</tr>\n");
    }
    end_table(out);
    mem_free(head);
}

static void put_weights(Buf *out, const Result *r) {
    Series series[SERIES_MOST];
    size_t count = 0;
    for (size_t i = 0; i < r->models->count && count < SERIES_MOST; i++) {
        const Json *parts = json_get(&r->models->items[i], "parts");
        if (!parts || parts->kind != JSON_ARRAY) continue;
        double *x = mem_new(2 * parts->count, sizeof *x), *y = x + parts->count;
        size_t n = 0;
        for (size_t j = 0; j < parts->count; j++) {
            double layer = number_of(r, &parts->items[j], "layer");
            if (layer >= 0) x[n] = layer, y[n++] = number_of(r, &parts->items[j], "relative");
        }
        series[count++] = (Series){.x = x, .y = y, .count = n, .color = model_color(r, i), .line = true, .dots = n <= 40, .label = model_name(r, i)};
    }
    double low, high;
    if (!count || !series_range(series, count, false, &low, &high)) return;
    Chart c = {.id = id_of(r, "weights"), .title = "Distance of the weights by layer", .desc = "‖tuned − base‖ / ‖base‖ of each layer.", .x_name = "layer",
               .width = WIDTH, .height = LAYERS, .zero_y = true, .floor = not_known(), .series = series, .count = count};
    buf_str(out, "<figure>\n<figcaption>Distance of the weights by layer <span>‖tuned − base‖ / ‖base‖</span></figcaption>\n");
    svg_chart(out, &c);
    buf_str(out, "</figure>\n");
    for (size_t i = 0; i < count; i++) mem_free((void *)(uintptr_t)series[i].x);
}

/* ---- the R matrix ---- */

static void put_heat(Buf *out, double x, double low, double high) {
    double part = (x - low) / (high - low); /* not a number where nothing is between them */
    int share = part > 0 && part <= 1 ? (int)(part * 45 + 0.5) : 0;
    buf_format(out, "<td class=\"heat\" style=\"--a:.%02d\">", share);
    html_decimals(out, x, 3, false);
    buf_str(out, "</td>");
}

static void put_matrix_row(Buf *out, const char *name, const Json *row, double low, double high) {
    put_row_head(out, name);
    for (size_t j = 0; j < row->count; j++) put_heat(out, item_number(&row->items[j]), low, high);
    buf_str(out, "</tr>\n");
}

static void matrix_range(const Json *row, double *low, double *high) {
    for (size_t j = 0; j < row->count; j++) {
        double x = item_number(&row->items[j]);
        if (x < *low) *low = x;
        if (x > *high) *high = x;
    }
}

static void put_matrix(Buf *out, const Result *r) {
    static const char *const names[][2] = {{"acc", "ACC at the end"}, {"bwt", "Backward transfer"}, {"fwt", "Forward transfer"},
                                           {"forgetting", "Forgetting"}, {"learning", "Learning accuracy"}, {"intransigence", "Intransigence"}};
    const Json *s = json_get(r->root, "sequence");
    if (!s || s->kind != JSON_OBJECT) return;
    const Json *tasks = json_need(r->doc, s, "tasks", JSON_ARRAY), *rows = json_need(r->doc, s, "rows", JSON_ARRAY);
    const Json *before = json_need(r->doc, s, "before", JSON_ARRAY), *joint = json_get(s, "joint");
    const char **head = mem_new(tasks->count + 1, sizeof *head);
    double low = 1e30, high = -1e30;
    buf_str(out, "<h3>A sequence of tasks</h3>\n<dl class=\"facts\">\n");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        double x = number_of(r, s, names[i][0]);
        if (!is_finite(x)) continue;
        put_format_text(out, "<div><dt>", names[i][1], "</dt><dd>");
        html_decimals(out, x, 3, i != 0 && i != 4), buf_str(out, "</dd></div>\n");
    }
    buf_str(out, "</dl>\n");
    matrix_range(before, &low, &high);
    for (size_t i = 0; i < rows->count; i++) matrix_range(&rows->items[i], &low, &high);
    if (joint && joint->kind == JSON_ARRAY) matrix_range(joint, &low, &high);
    head[0] = "After training on";
    for (size_t j = 0; j < tasks->count; j++) head[j + 1] = tasks->items[j].kind == JSON_STRING ? tasks->items[j].string : "–";
    begin_table(out, "R: score on each task after each stage");
    put_head(out, head, tasks->count + 1);
    put_matrix_row(out, "nothing", before, low, high);
    for (size_t i = 0; i < rows->count; i++) put_matrix_row(out, i < tasks->count ? head[i + 1] : "", &rows->items[i], low, high);
    if (joint && joint->kind == JSON_ARRAY) put_matrix_row(out, "all together", joint, low, high);
    end_table(out);
    mem_free(head);
}

/* ---- the frontier ---- */

static int method_color(const Result *r, const Json *cells, size_t cell, bool *first) {
    *first = false;
    int color = 0;
    const char *method = text_of(r, &cells->items[cell], "method");
    for (size_t i = 0; i <= cell; i++) {
        const char *name = text_of(r, &cells->items[i], "method");
        bool seen = false;
        for (size_t j = 0; j < i && !seen; j++) seen = !strcmp(text_of(r, &cells->items[j], "method"), name);
        if (!strcmp(name, method)) {
            *first = i == cell;
            return color;
        }
        color += !seen;
    }
    return color;
}

/* The methods in the order of their first cells, which is the order of their colours. */
static void put_methods(Buf *out, const Result *r, const Json *cells) {
    buf_str(out, "<ul class=\"key\">");
    for (size_t i = 0; i < cells->count; i++) {
        bool first;
        int color = method_color(r, cells, i, &first);
        if (!first) continue;
        buf_format(out, "<li class=\"c%d\">", color % 8);
        put_format_text(out, "", text_of(r, &cells->items[i], "method"), "</li>");
    }
    buf_str(out, "</ul>\n");
}

static void put_frontier_chart(Buf *out, const Result *r, const Json *cells) {
    Series *series = mem_new(cells->count, sizeof *series);
    double low, high;
    for (size_t i = 0; i < cells->count; i++) {
        const Json *curve = json_need(r->doc, &cells->items[i], "curve", JSON_ARRAY);
        double *x = mem_new(2 * curve->count, sizeof *x), *y = x + curve->count;
        bool first;
        int color = method_color(r, cells, i, &first);
        for (size_t j = 0; j < curve->count; j++) x[j] = number_of(r, &curve->items[j], "learning"), y[j] = number_of(r, &curve->items[j], "forgetting");
        series[i] = (Series){.x = x, .y = y, .count = curve->count, .color = color, .line = true, .dots = true};
    }
    Chart c = {.id = id_of(r, "frontier"), .title = "Learning against forgetting",
               .desc = "Each line is one setting over its training; the figures stand in the table.",
               .x_name = json_string(r->doc, r->root, "learning_is", "score on the new task"), .width = WIDTH, .height = FRONTIER, .zero_y = true,
               .floor = not_known(), .series = series, .count = cells->count};
    if (series_range(series, cells->count, false, &low, &high)) {
        buf_str(out, "<div class=\"charts\"><figure>\n<figcaption>Learning against forgetting <span>");
        put_format_text(out, "", text_of(r, r->root, "forgetting_is"), "; lower is better</span></figcaption>\n");
        svg_chart(out, &c);
        buf_str(out, "</figure></div>\n");
    }
    for (size_t i = 0; i < cells->count; i++) mem_free((void *)(uintptr_t)series[i].x);
    mem_free(series);
}

/* What the timing.jsonl beside the file says of a cell; NaN: nothing. */
static double seconds_of(const Result *r, const char *cell) {
    const char *name = json_name(r->doc), *slash = strrchr(name, '/');
    char *dir = slash ? str_copy_n(name, (size_t)(slash - name)) : str_copy("."), *path = os_join(dir, "timing.jsonl");
    double seconds = not_known();
    if (!os_exists(path)) return seconds;
    JsonLines l = json_lines(path);
    for (const Json *line; (line = json_next(&l));)
        if (!strcmp(json_string(l.doc, line, "cell", ""), cell)) seconds = json_double(l.doc, line, "seconds", not_known());
    mem_free(dir), mem_free(path);
    return seconds;
}

static void put_matched(Buf *out, const Result *r, const Json *cell, const Json *at) {
    static const char *const counts[] = {"step", "new_tokens", "total_tokens"};
    double seconds = r->report->seconds ? seconds_of(r, json_string(r->doc, cell, "cell", "")) : not_known();
    for (size_t k = 0; k < 3; k++) buf_str(out, "<td>"), html_number(out, number_of(r, at, counts[k]), 15), buf_str(out, "</td>");
    if (r->report->seconds) buf_str(out, "<td>"), is_finite(seconds) ? html_decimals(out, seconds, 1, false) : buf_str(out, "–"), buf_str(out, "</td>");
    buf_str(out, "<td>"), html_decimals(out, number_of(r, at, "learning"), 3, false);
    buf_str(out, "<small>"), html_decimals(out, number_of(r, cell, "above"), 3, true);
    buf_str(out, number_of(r, cell, "bracket") > 1 ? "</small></td><td>" : ", one step</small></td><td>");
    html_decimals(out, number_of(r, at, "reported"), 3, false);
    put_interval(out, number_of(r, at, "reported_low"), number_of(r, at, "reported_high"), false);
    buf_str(out, "</td><td>"), html_decimals(out, number_of(r, at, "forgetting"), 3, true);
    put_interval(out, number_of(r, at, "low"), number_of(r, at, "high"), true);
    buf_str(out, json_bool(r->doc, cell, "chosen", false) ? "</td><td>✓</td></tr>\n" : "</td><td></td></tr>\n");
}

static void put_frontier(Buf *out, const Result *r) {
    static const char *const head[] = {"Method", "Rate", "Strength", "Step", "New tokens", "All tokens", "Learning", "Learning, reported",
                                       "Forgetting", "Chosen"};
    static const char *const timed[] = {"Method", "Rate", "Strength", "Step", "New tokens", "All tokens", "Seconds", "Learning", "Learning, reported",
                                        "Forgetting", "Chosen"};
    const Json *cells = json_need(r->doc, r->root, "cells", JSON_ARRAY);
    put_format_text(out, "<h2>Learning against forgetting: ", text_of(r, r->root, "task"), "</h2>\n");
    put_methods(out, r, cells);
    put_frontier_chart(out, r, cells);
    Buf caption = {0};
    buf_str(&caption, "At matched learning: τ = "), html_number(&caption, number_of(r, r->root, "tau"), 4);
    begin_table(out, caption.data);
    put_head(out, r->report->seconds ? timed : head, sizeof head / sizeof *head + r->report->seconds);
    for (size_t i = 0; i < cells->count; i++) {
        const Json *cell = &cells->items[i], *at = json_get(cell, "matched");
        put_row_head(out, text_of(r, cell, "method"));
        buf_str(out, "<td>"), html_number(out, number_of(r, cell, "rate"), 4), buf_str(out, "</td><td>");
        if (json_get(cell, "flag")) put_format_text(out, "", text_of(r, cell, "flag"), " "), html_number(out, number_of(r, cell, "strength"), 4);
        buf_str(out, "</td>");
        if (at && at->kind == JSON_OBJECT) put_matched(out, r, cell, at);
        else buf_str(out, r->report->seconds ? "<td colspan=\"8\">not reached</td></tr>\n" : "<td colspan=\"7\">not reached</td></tr>\n");
    }
    end_table(out), buf_free(&caption);
    buf_str(out, "<p class=\"soft\">Each setting is read at the first checkpoint whose learning, on the select half, reaches τ; beside it, how far above τ "
                 "that lies. Chosen: of each method the setting that forgets least on the select half. Reported learning and forgetting are the report half’s, "
                 "with 95 % intervals.</p>\n");
}

/* ---- one file ---- */

static void put_forgetting(Buf *out, Result *r) {
    r->models = json_need(r->doc, r->root, "models", JSON_ARRAY), r->suites = json_need(r->doc, r->root, "suites", JSON_ARRAY);
    put_format_text(out, "<h2>What tuning cost: ", text_of(r, json_need(r->doc, r->root, "base", JSON_OBJECT), "name"), "</h2>\n");
    put_key(out, r);
    buf_str(out, "<div class=\"charts\">\n");
    put_change_chart(out, r, false, "Change of the scores", "score after − before; left is forgotten");
    buf_str(out, "<div class=\"stack\">\n");
    put_change_chart(out, r, true, "Change on text", "bits a byte after − before; right is forgotten");
    put_weights(out, r);
    buf_str(out, "</div>\n</div>\n");
    put_suites(out, r);
    put_knowledge(out, r);
    put_relearned(out, r);
    put_drift(out, r);
    put_matrix(out, r);
}

void report_result(Buf *out, const Report *report, const JsonDoc *doc, size_t number) {
    Result r = {.report = report, .doc = doc, .root = json_root(doc), .number = number};
    const char *format = r.root->kind == JSON_OBJECT ? json_string(doc, r.root, "format", "") : "";
    if (!strcmp(format, "finetune.c forgetting")) put_forgetting(out, &r);
    else if (!strcmp(format, "finetune.c frontier")) put_frontier(out, &r);
    else bad_input("%s: neither a forgetting nor a frontier: report takes run folders and what forget wrote", json_name(doc));
}
