/* Figures over seeds and items, and how the page writes them. */
#include "claims.h"
#include "fp.h"
#include "stats.h"

#include <assert.h>
#include <string.h>

/* ---- items ---- */

/* Appends one suite's items of one stage as 0 and 1. */
static size_t add_items(const Json *results, size_t stage, const char *suite, double *x) {
    assert(stage < results->count);
    const Json *items = json_get(json_get(&results->items[stage], "items"), suite);
    assert(items && items->kind == JSON_STRING);
    for (size_t i = 0; x && i < items->length; i++) x[i] = items->string[i] == '1';
    return items->length;
}

/* How many; x [items] may be NULL. */
static size_t items_of(const Json *results, size_t stage, const char *suite, double *x) {
    size_t n = 0;
    if (strcmp(suite, "skills")) return add_items(results, stage, suite, x);
    for (int i = 0; i < SKILLS; i++) n += add_items(results, stage, skill_names[i], x ? x + n : NULL);
    return n;
}

double score_of(const Json *results, size_t stage, const char *suite) {
    size_t n = items_of(results, stage, suite, NULL);
    double *x = mem_new(n, sizeof *x);
    items_of(results, stage, suite, x);
    double score = estimate_mean(x, n).mean;
    mem_free(x);
    return score;
}

/* Items and seeds are two samples; the squares of the two half widths add: over items of what each scores in the mean of the seeds, over seeds of the
 * mean of all items. With one seed the items' alone. values: [seeds][items]. */
static Interval over_both(const double *values, size_t seeds, size_t items, Interval of_items) {
    if (seeds == 1) return of_items;
    double *means = mem_new(seeds, sizeof *means), half = (of_items.high - of_items.low) / 2;
    for (size_t s = 0; s < seeds; s++) means[s] = estimate_mean(values + s * items, items).mean;
    Estimate e = estimate_mean(means, seeds);
    mem_free(means);
    double both = d_sqrt(half * half + (e.high - e.mean) * (e.high - e.mean));
    return (Interval){e.mean, e.mean - both, e.mean + both};
}

/* The mean over the seeds, item by item. */
static double *mean_items(const double *values, size_t seeds, size_t items) {
    double *mean = mem_new(items, sizeof *mean);
    for (size_t i = 0; i < items; i++) {
        for (size_t s = 0; s < seeds; s++) mean[i] += values[s * items + i];
        mean[i] /= (double)seeds;
    }
    return mean;
}

static double *gather(const Lab *l, const Json *const *results, size_t stage, const char *suite, size_t *items) {
    *items = items_of(results[0], stage, suite, NULL);
    double *values = mem_new(l->seeds * *items, sizeof *values);
    for (size_t s = 0; s < l->seeds; s++) items_of(results[s], stage, suite, values + s * *items);
    return values;
}

Interval score_over(const Lab *l, const Json *const *results, size_t stage, const char *suite) {
    size_t items;
    double *values = gather(l, results, stage, suite, &items), *mean = mean_items(values, l->seeds, items);
    Estimate e = estimate_mean(mean, items);
    Interval of_items = {e.mean, e.low, e.high};
    if (l->seeds == 1) wilson_interval(e.mean * (double)items, items, &of_items.low, &of_items.high);
    Interval r = over_both(values, l->seeds, items, of_items);
    mem_free(values), mem_free(mean);
    return r;
}

Interval change_over(const Lab *l, const Json *const *a, size_t stage_a, const Json *const *b, size_t stage_b, const char *suite) {
    size_t items, other;
    double *from = gather(l, a, stage_a, suite, &items), *to = gather(l, b, stage_b, suite, &other);
    assert(items == other);
    Interval of_items = mean_change(from, to, items, l->seeds == 1);
    for (size_t i = 0; i < l->seeds * items; i++) to[i] -= from[i];
    if (l->seeds > 1) {
        double *mean = mean_items(to, l->seeds, items);
        Estimate e = estimate_mean(mean, items);
        of_items = (Interval){e.mean, e.low, e.high};
        mem_free(mean);
    }
    Interval r = over_both(to, l->seeds, items, of_items);
    mem_free(from), mem_free(to);
    return r;
}

Interval number_over(const double *values, size_t n) {
    Estimate e = estimate_mean(values, n);
    return n == 1 ? (Interval){e.mean, e.mean, e.mean} : (Interval){e.mean, e.low, e.high};
}

double matched_number(const Json *cell, const char *key) {
    const Json *at = json_get(cell, "matched"), *x = at && at->kind == JSON_OBJECT ? json_get(at, key) : NULL;
    return x && x->kind == JSON_NUMBER ? x->number : bits_double(0x7ff8000000000000);
}

/* ---- words ---- */

void page_section(Buf *page, const char *statement, const char *how) { buf_format(page, "\n## %s\n\n%s\n\n", statement, how); }

void page_number(Buf *page, double x, int decimals) {
    if (is_finite(x)) html_decimals(page, x, decimals, false);
    else buf_str(page, "–");
}

void page_interval(Buf *page, Interval i, int decimals, bool sign) {
    html_decimals(page, i.value, decimals, sign);
    if (i.low == i.high || !is_finite(i.low)) return;
    buf_str(page, " ["), html_decimals(page, i.low, decimals, sign), buf_str(page, ", "), html_decimals(page, i.high, decimals, sign),
        buf_char(page, ']');
}

const char *verdict(Interval change) { return change.low > 0 ? "more" : change.high < 0 ? "less" : "not told apart"; }

void page_picture(Buf *out, const Forest *f) {
    Buf inner = {0};
    svg_forest(&inner, f);
    const char *box = inner.len ? strstr(inner.data, "viewBox=\"") : NULL;
    assert(box);
    buf_format(out, "<svg xmlns=\"http://www.w3.org/2000/svg\" %.*s>\n", (int)(strchr(box + 9, '"') + 1 - box), box);
    buf_str(out, "<style>svg{--bg:#fff;--soft:#5a646f;--rule:#e1e5e9;--zero:#8b949e}.c0{--c:#1f5fa8}.c1{--c:#b4470a}\n"
                 "@media (prefers-color-scheme:dark){svg{--bg:#0d1117;--soft:#9aa4af;--rule:#2c323a;--zero:#6b7580}.c0{--c:#7ab4f5}.c1{--c:#f29b5c}}\n"
                 "text{font:12px system-ui,sans-serif;fill:var(--soft)}.grid{stroke:var(--rule)}\n"
                 ".axis{stroke:var(--zero)}.zero{stroke:var(--zero);stroke-width:1.5}\n"
                 ".bar{stroke:var(--c);stroke-width:2}.dot{fill:var(--c);stroke:var(--bg)}</style>\n");
    buf_put(out, inner.data, inner.len), buf_str(out, "</svg>\n");
    buf_free(&inner);
}
