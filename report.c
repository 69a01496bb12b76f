#include "report.h"

#include "fp.h"
#include "svg.h"

#include <string.h>

enum { WIDTH = 480, TALL = 330, LOW = 158, RAW_STEPS = 240, MEANS = 120, DOTS_MOST = 60, SAMPLES_SHOWN = 3, SAMPLES_KEPT = 12, SAMPLE_BYTES = 2000 };

/* ---- pieces ---- */

void put_format_text(Buf *out, const char *before, const char *text, const char *after) {
    buf_str(out, before);
    html_text(out, text, strlen(text));
    buf_str(out, after);
}

void begin_table(Buf *out, const char *caption) {
    put_format_text(out, "<div class=\"wide\" role=\"region\" tabindex=\"0\" aria-label=\"", caption, "\">\n");
    put_format_text(out, "<table>\n<caption>", caption, "</caption>\n");
}

void put_head(Buf *out, const char *const *names, size_t count) {
    buf_str(out, "<thead><tr>");
    for (size_t i = 0; i < count; i++) put_format_text(out, "<th scope=\"col\">", names[i], "</th>");
    buf_str(out, "</tr></thead>\n<tbody>\n");
}

void put_row_head(Buf *out, const char *name) { put_format_text(out, "<tr><th scope=\"row\">", name, "</th>"); }
void end_table(Buf *out) { buf_str(out, "</tbody>\n</table>\n</div>\n"); }

static void put_cell(Buf *out, double x, int digits) {
    buf_str(out, "<td>");
    html_number(out, x, digits);
    buf_str(out, "</td>");
}

static void put_fact(Buf *out, const char *name, double value, int digits, const char *note) {
    put_format_text(out, "<div><dt>", name, "</dt><dd>");
    html_number(out, value, digits);
    if (note) put_format_text(out, " <small>", note, "</small>");
    buf_str(out, "</dd></div>\n");
}

/* ---- what a run came to ---- */

static size_t best_evaluation(const RunLog *r) {
    size_t best = r->evals;
    for (size_t i = 0; i < r->evals; i++)
        if (is_finite(r->eval_loss[i]) && (best == r->evals || r->eval_loss[i] < r->eval_loss[best])) best = i;
    return best;
}

/* The mean of the last hundredth of all steps, at least one: the loss of a single batch says little. */
static double last_loss(const RunLog *r, size_t *steps) {
    double sum = 0;
    *steps = r->steps / 100 ? r->steps / 100 : 1;
    if (!r->steps) return not_known();
    for (size_t i = r->steps - *steps; i < r->steps; i++) sum += r->loss[i];
    return sum / (double)*steps;
}

static double setting(const RunLog *r, const char *part, const char *key) {
    const Json *object = json_get(json_root(r->settings), part);
    return object && object->kind == JSON_OBJECT ? json_double(r->settings, object, key, not_known()) : not_known();
}

/* What one bit a byte is in nats a token, by the last evaluation that has both. */
static double nats_of_bpb(const RunLog *r) {
    for (size_t i = r->evals; i-- > 0;)
        if (r->eval_bpb[i] > 0 && r->eval_loss[i] > 0) return r->eval_loss[i] / r->eval_bpb[i];
    return not_known();
}

static void put_facts(Buf *out, const Report *report, const RunLog *r) {
    size_t best = best_evaluation(r), mean;
    Buf note = {0};
    double loss = last_loss(r, &mean);
    buf_str(out, "<dl class=\"facts\">\n");
    if (best < r->evals) {
        buf_str(&note, "nats a token, at step "), html_number(&note, r->eval_step[best], 15);
        put_fact(out, "Held-out loss, best", r->eval_loss[best], 4, note.data);
        note.len = 0;
        if (is_finite(r->eval_bpb[best])) {
            if (is_finite(report->floor)) buf_str(&note, "the source's entropy: "), html_number(&note, report->floor, 4);
            put_fact(out, "Held-out bits a byte", r->eval_bpb[best], 4, note.len ? note.data : "at that step");
            note.len = 0;
        }
    }
    if (mean == 1) buf_str(&note, "nats a token, last step");
    else buf_str(&note, "nats a token, mean of the last "), html_number(&note, (double)mean, 15), buf_str(&note, " steps");
    put_fact(out, "Training loss", loss, 4, note.data);
    note.len = 0;
    html_number(&note, (double)r->tokens, 15), buf_str(&note, " tokens learned from");
    put_fact(out, "Steps", r->steps ? r->step[r->steps - 1] : 0, 15, note.data);
    note.len = 0;
    double parameters = setting(r, "model", "parameters"), trained = setting(r, "model", "trainable");
    if (is_finite(trained) && trained < parameters) html_number(&note, trained, 15), buf_str(&note, " of them trained");
    if (is_finite(parameters)) put_fact(out, "Parameters", parameters, 15, note.len ? note.data : NULL);
    buf_str(out, "</dl>\n");
    buf_free(&note);
}

static void put_runs_table(Buf *out, const Report *report) {
    static const char *const head[] = {"Run", "Command", "Steps", "Tokens", "Training loss", "Held-out loss, best", "at step", "Bits a byte",
                                       "Parameters trained"};
    begin_table(out, "Runs");
    put_head(out, head, sizeof head / sizeof *head);
    for (size_t i = 0; i < report->run_count; i++) {
        const RunLog *r = &report->runs[i];
        size_t best = best_evaluation(r), mean;
        double trained = setting(r, "model", "trainable");
        put_row_head(out, r->name);
        put_format_text(out, "<td>", json_string(r->settings, json_root(r->settings), "command", "–"), "</td>");
        put_cell(out, r->steps ? r->step[r->steps - 1] : 0, 15), put_cell(out, (double)r->tokens, 15), put_cell(out, last_loss(r, &mean), 4);
        put_cell(out, best < r->evals ? r->eval_loss[best] : not_known(), 4);
        put_cell(out, best < r->evals ? r->eval_step[best] : not_known(), 15);
        put_cell(out, best < r->evals ? r->eval_bpb[best] : not_known(), 4);
        put_cell(out, is_finite(trained) ? trained : setting(r, "model", "parameters"), 15);
        buf_str(out, "</tr>\n");
    }
    end_table(out);
}

/* ---- curves ---- */

/* Series and what they point at, freed together. */
typedef struct {
    Series *series;
    size_t count;
    double **owned;
    size_t owned_count;
} Curves;

static Series *add_series(Curves *c, const double *x, const double *y, size_t count, int color) {
    c->series = mem_resize(c->series, c->count + 1, sizeof *c->series);
    c->series[c->count] = (Series){.x = x, .y = y, .count = count, .color = color, .line = true};
    return &c->series[c->count++];
}

static double *add_numbers(Curves *c, size_t count) {
    c->owned = mem_resize(c->owned, c->owned_count + 1, sizeof *c->owned);
    return c->owned[c->owned_count++] = mem_new(count, sizeof(double));
}

static void free_curves(Curves *c) {
    for (size_t i = 0; i < c->owned_count; i++) mem_free(c->owned[i]);
    mem_free(c->owned), mem_free(c->series);
}

/* Means of equally long stretches of steps; the steps themselves when they are few. */
static Series *add_means(Curves *c, const RunLog *r, const double *values, int color) {
    if (r->steps <= RAW_STEPS) return add_series(c, r->step, values, r->steps, color);
    size_t stretch = (r->steps + MEANS - 1) / MEANS, count = (r->steps + stretch - 1) / stretch;
    double *x = add_numbers(c, count), *y = add_numbers(c, count);
    for (size_t k = 0; k < count; k++) {
        size_t from = k * stretch, to = from + stretch < r->steps ? from + stretch : r->steps;
        for (size_t i = from; i < to; i++) x[k] += r->step[i], y[k] += values[i];
        x[k] /= (double)(to - from), y[k] /= (double)(to - from);
    }
    return add_series(c, x, y, count, color);
}

static bool spreads(const Curves *c, double times) {
    double low, high;
    return series_range(c->series, c->count, false, &low, &high) && low > 0 && high > low * times;
}

static void put_figure(Buf *out, Chart *chart, const char *caption, const char *unit, const Curves *c) {
    put_format_text(out, "<figure>\n<figcaption>", caption, " <span>");
    put_format_text(out, "", unit, chart->log_y ? ", logarithmic scale</span></figcaption>\n" : "</span></figcaption>\n");
    chart->series = c->series, chart->count = c->count, chart->title = caption, chart->width = WIDTH, chart->x_name = "step";
    svg_chart(out, chart);
    buf_str(out, "</figure>\n");
}

static void describe_loss(Buf *desc, const RunLog *r) {
    size_t best = best_evaluation(r), mean;
    if (r->steps) {
        buf_str(desc, r->name), buf_str(desc, ": training loss "), html_number(desc, r->loss[0], 4), buf_str(desc, " at the first step, ");
        html_number(desc, last_loss(r, &mean), 4), buf_str(desc, " at the end. ");
    }
    if (best == r->evals) return;
    buf_str(desc, "Held-out loss: best "), html_number(desc, r->eval_loss[best], 4), buf_str(desc, " at step ");
    html_number(desc, r->eval_step[best], 15), buf_str(desc, ". ");
}

static void add_losses(Curves *c, const Report *report, size_t run) {
    const RunLog *r = &report->runs[run];
    bool alone = report->run_count == 1;
    int color = alone ? 0 : (int)run;
    if (r->steps > RAW_STEPS && alone) add_series(c, r->step, r->loss, r->steps, 0)->faint = true;
    Series *train = add_means(c, r, r->loss, color);
    if (alone) train->label = "training";
    else if (!r->evals) train->label = r->name;
    else train->faint = true;
    if (!r->evals) return;
    Series *held = add_series(c, r->eval_step, r->eval_loss, r->evals, alone ? 1 : color);
    held->label = alone ? "held-out" : r->name;
    held->dots = r->evals <= DOTS_MOST;
}

static void put_loss(Buf *out, const Report *report) {
    Curves c = {0};
    Buf desc = {0};
    double rate = not_known();
    for (size_t i = 0; i < report->run_count; i++) {
        add_losses(&c, report, i), describe_loss(&desc, &report->runs[i]);
        if (!is_finite(rate)) rate = nats_of_bpb(&report->runs[i]);
    }
    Chart chart = {.id = "loss", .height = TALL, .floor = report->floor * rate, .floor_label = "entropy", .log_y = spreads(&c, 3)};
    chart.desc = desc.data ? desc.data : "";
    put_figure(out, &chart, "Loss", "nats a token", &c);
    free_curves(&c), buf_free(&desc);
}

static void put_curve(Buf *out, const Report *report, const char *id, const char *name, const char *unit, size_t array) {
    Curves c = {0};
    for (size_t i = 0; i < report->run_count; i++) {
        const RunLog *r = &report->runs[i];
        const double *values = array ? r->norm : r->lr;
        if (array && r->steps > RAW_STEPS && report->run_count == 1) add_series(&c, r->step, values, r->steps, 0)->faint = true;
        Series *s = array ? add_means(&c, r, values, (int)i) : add_series(&c, r->step, values, r->steps, (int)i);
        if (report->run_count > 1) s->label = r->name;
    }
    Chart chart = {.id = id, .height = LOW, .floor = not_known(), .log_y = array && spreads(&c, 10), .desc = name};
    put_figure(out, &chart, name, unit, &c);
    free_curves(&c);
}

static void put_training(Buf *out, const Report *report) {
    size_t steps = 0, longest = 0;
    bool held = false, known = false;
    for (size_t i = 0; i < report->run_count; i++) {
        const RunLog *r = &report->runs[i];
        steps += r->steps + r->evals, held = held || r->evals, known = known || is_finite(nats_of_bpb(r));
        if (r->steps > longest) longest = r->steps;
    }
    if (!steps) {
        buf_str(out, "<p>No step was taken: there is nothing to draw.</p>\n");
        return;
    }
    buf_str(out, "<div class=\"charts\">\n");
    put_loss(out, report);
    buf_str(out, "<div class=\"stack\">\n");
    put_curve(out, report, "lr", "Learning rate", "at each step", 0);
    put_curve(out, report, "norm", "Gradient norm", "before clipping", 1);
    buf_str(out, "</div>\n</div>\n");
    buf_str(out, "<p class=\"soft\">");
    if (longest > RAW_STEPS) buf_str(out, "Of long runs the line is a mean over stretches of steps; pale behind it, single steps. ");
    if (report->run_count > 1 && held) buf_str(out, "Dots: held-out loss; pale: training loss. ");
    if (is_finite(report->floor) && known) {
        buf_str(out, "Dotted: the entropy of the source, "), html_number(out, report->floor, 4);
        buf_str(out, " bits a byte, which no model can be below on average; drawn at the nats a token that the last evaluation's "
                     "ratio of both units gives. ");
    } else if (is_finite(report->floor)) buf_str(out, "The entropy of the source is not drawn: no evaluation of these runs is in bits a byte. ");
    buf_str(out, "</p>\n");
}

/* ---- samples, settings, hashes ---- */

static void put_sample(Buf *out, const LogSample *s) {
    size_t shown = s->length < SAMPLE_BYTES ? s->length : SAMPLE_BYTES;
    while (shown < s->length && shown && ((unsigned char)s->text[shown] & 0xc0) == 0x80) shown--; /* never inside a character */
    buf_str(out, "<h3>Step "), html_number(out, (double)s->step, 15), buf_str(out, "</h3>\n<blockquote>");
    html_text(out, s->text, shown);
    if (shown < s->length) buf_str(out, " …");
    buf_str(out, "</blockquote>\n");
}

/* The first, the last and evenly some between; all but three behind a click. */
static void put_samples(Buf *out, const RunLog *r) {
    size_t n = r->sample_count, kept = n < SAMPLES_KEPT ? n : SAMPLES_KEPT;
    if (!n) return;
    put_format_text(out, "<h2>What it wrote: ", r->name, "</h2>\n");
    size_t shown = kept < SAMPLES_SHOWN ? kept : SAMPLES_SHOWN;
    for (size_t i = 0; i < shown; i++) put_sample(out, &r->samples[shown > 1 ? i * (n - 1) / (shown - 1) : 0]);
    if (kept <= shown) return;
    buf_format(out, "<details>\n<summary>%zu of %zu samples, step by step</summary>\n", kept, n);
    for (size_t i = 0; i < kept; i++) put_sample(out, &r->samples[i * (n - 1) / (kept - 1)]);
    buf_str(out, "</details>\n");
}

static void put_hash(Buf *out, const char *name, const char *hash) {
    put_row_head(out, name);
    put_format_text(out, "<td class=\"text\"><code>", hash, "</code></td></tr>\n");
}

static void put_record(Buf *out, const RunLog *r) {
    static const char *const head[] = {"What", "SHA-256"};
    const Json *inputs = json_get(json_root(r->settings), "inputs");
    JsonWriter w = {.pretty = true};
    put_format_text(out, "<h2>Settings and hashes: ", r->name, "</h2>\n");
    begin_table(out, "The same on every machine");
    put_head(out, head, 2);
    put_hash(out, "run folder", r->hash);
    for (size_t i = 0; inputs && inputs->kind == JSON_OBJECT && i < inputs->count; i++)
        if (inputs->items[i].kind == JSON_STRING) put_hash(out, inputs->keys[i].string, inputs->items[i].string);
    end_table(out);
    jw_copy(&w, NULL, json_root(r->settings));
    buf_str(out, "<details>\n<summary>run.json</summary>\n<pre><code>");
    html_text(out, w.text.data, w.text.len);
    buf_str(out, "</code></pre>\n</details>\n");
    buf_free(&w.text);
}

/* ---- the page ---- */

static void put_names(Buf *out, const Report *r) {
    if (r->title) html_text(out, r->title, strlen(r->title));
    for (size_t i = 0; !r->title && i < r->run_count; i++) put_format_text(out, i ? ", " : "", r->runs[i].name, "");
    if (!r->title && !r->run_count) buf_str(out, "What tuning cost");
}

Buf report_page(const Report *r) {
    Buf out = {0};
    buf_str(&out, "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                  "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                  "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n<title>");
    put_names(&out, r);
    buf_str(&out, "</title>\n");
    put_style(&out);
    buf_str(&out, "</head>\n<body>\n<main>\n<h1>");
    put_names(&out, r);
    buf_str(&out, "</h1>\n");
    if (r->run_count == 1) {
        put_format_text(&out, "<p class=\"soft\">finetune ", json_string(r->runs->settings, json_root(r->runs->settings), "command", "run"), "</p>\n");
        put_facts(&out, r, r->runs);
    } else if (r->run_count) put_runs_table(&out, r);
    if (r->run_count) put_training(&out, r);
    for (size_t i = 0; i < r->result_count; i++) report_result(&out, r, r->results[i], i + 1);
    for (size_t i = 0; i < r->run_count; i++) put_samples(&out, &r->runs[i]);
    for (size_t i = 0; i < r->run_count; i++) put_record(&out, &r->runs[i]);
    buf_format(&out, "</main>\n<footer>Written by finetune.c, bits_version %d. The same files give this page byte for byte.</footer>\n", BITS_VERSION);
    buf_str(&out, "</body>\n</html>\n");
    return out;
}
