#include "svg.h"

#include "decimal.h"
#include "fp.h"
#include "unicode.h"

#include <string.h>

/* ---- text and numbers ---- */

static void put_character(Buf *out, uint32_t c, const char *bytes, size_t n) {
    switch (c) {
    case '&': buf_str(out, "&amp;"); return;
    case '<': buf_str(out, "&lt;"); return;
    case '>': buf_str(out, "&gt;"); return;
    case '"': buf_str(out, "&quot;"); return;
    case '\'': buf_str(out, "&#39;"); return;
    }
    bool control = (c < 0x20 && c != '\n' && c != '\t') || (c >= 0x7f && c < 0xa0) || c >= CHAR_INVALID || (c & 0xfffe) == 0xfffe ||
                   (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069); /* and what turns the direction of the text behind it */
    if (control) buf_str(out, "\xef\xbf\xbd");
    else buf_put(out, bytes, n);
}

void html_text(Buf *out, const char *s, size_t n) {
    for (size_t i = 0, step; i < n; i += step) {
        uint32_t c;
        step = utf8_next((const unsigned char *)s + i, n - i, &c);
        put_character(out, c, s + i, step);
    }
}

size_t html_text_short(Buf *out, const char *s, size_t columns) {
    size_t used = 0, n = strlen(s);
    for (size_t i = 0, step; i < n; i += step) {
        uint32_t c;
        step = utf8_next((const unsigned char *)s + i, n - i, &c);
        size_t wide = c >= 0x1100 && c != CHAR_INVALID ? 2 : 1;
        if (used + wide > columns || (used + wide == columns && i + step < n)) {
            buf_str(out, "…");
            return used + 1;
        }
        put_character(out, c, s + i, step);
        used += wide;
    }
    return used;
}

enum { DECIMALS_MOST = 8 };

/* |x| times ten to the decimals below 2^63. */
static void put_decimals(Buf *out, double x, int decimals, bool separators) {
    static const double tens[DECIMALS_MOST + 1] = {1, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8};
    double scaled = (x < 0 ? -x : x) * tens[decimals] + 0.5;
    uint64_t units = scaled < 9e18 ? (uint64_t)scaled : UINT64_MAX, unit = (uint64_t)tens[decimals], whole = units / unit, part = units % unit;
    char digits[24];
    size_t n = 0;
    if (x < 0 && units) buf_str(out, "−");
    do digits[n++] = (char)('0' + whole % 10), whole /= 10;
    while (whole);
    while (n--) {
        buf_char(out, digits[n]);
        if (separators && n && n % 3 == 0) buf_char(out, ',');
    }
    if (!decimals) return;
    buf_char(out, '.');
    for (unit /= 10; unit; unit /= 10) buf_char(out, (char)('0' + part / unit % 10));
}

void html_decimals(Buf *out, double x, int decimals, bool sign) {
    if (!is_finite(x) || x >= 1e9 || x <= -1e9) {
        html_number(out, x, 3);
        return;
    }
    if (sign && x > 0) buf_char(out, '+');
    put_decimals(out, x, decimals, true);
}

void html_number(Buf *out, double x, int digits) {
    double size = x < 0 ? -x : x, limit = 1;
    int decimals = digits - 1;
    if (!is_finite(x)) buf_str(out, "–");
    else if (size >= 1e15 || (size > 0 && size < 1e-3)) {
        char text[DECIMAL_MAX];
        double power = 1;
        while (size / power >= 10) power *= 10;
        while (size / power < 1) power /= 10;
        for (int i = 1; i < digits; i++) limit *= 10;
        double rounded = (double)(int64_t)(size / power * limit + 0.5) / limit * power;
        decimal_print_float(text, (float)(x < 0 ? -rounded : rounded));
        buf_str(out, text);
    } else {
        if (size > 0)
            for (double s = size; s < 0.1; s *= 10) decimals++;
        if (size > 0 && size < 1) decimals++;
        for (limit = 10; size >= limit && decimals; limit *= 10) decimals--;
        if (decimals > DECIMALS_MOST) decimals = DECIMALS_MOST;
        size_t start = out->len;
        put_decimals(out, x, decimals, true);
        if (memchr(out->data + start, '.', out->len - start)) {
            while (out->data[out->len - 1] == '0') out->len--;
            if (out->data[out->len - 1] == '.') out->len--;
            out->data[out->len] = 0;
        }
    }
}

/* A coordinate: one decimal, none when it is 0. */
static void put_at(Buf *out, double x) {
    double scaled = x < 0 ? -x * 10 + 0.5 : x * 10 + 0.5;
    unsigned long tenths = scaled < 1e9 ? (unsigned long)scaled : 1000000000UL;
    buf_format(out, "%s%lu", x < 0 && tenths ? "-" : "", tenths / 10);
    if (tenths % 10) buf_format(out, ".%lu", tenths % 10);
}

static void put_attribute(Buf *out, const char *name, double x) {
    buf_format(out, " %s=\"", name);
    put_at(out, x);
    buf_char(out, '"');
}

/* ---- axes ---- */

static double floor_of(double x) { /* |x| < 2^62 */
    double whole = (double)(int64_t)x;
    return whole > x ? whole - 1 : whole;
}

/* The least of 1, 2, 5, 10 times a power of ten with at most `most` steps in `span`. */
static double round_step(double span, int most) {
    static const double steps[] = {1, 2, 5, 10};
    double raw = span / most, power = 1;
    while (power * 10 <= raw) power *= 10;
    while (power > raw) power /= 10;
    for (int i = 0; i < 3; i++)
        if (steps[i] * power >= raw) return steps[i] * power;
    return 10 * power;
}

static Axis linear_axis(double low, double high, bool tight, int most) {
    Axis a = {.low = low, .high = high};
    if (!(high > low)) {
        double size = low < 0 ? -low : low, room = size > 0 ? size * 0.1 : 1;
        a.low = low -= room, a.high = high += room;
    }
    double step = round_step(high - low, most - 1), first = floor_of(low / step + 1e-9), last = -floor_of(1e-9 - high / step);
    if (tight) first = -floor_of(1e-9 - low / step), last = floor_of(high / step + 1e-9);
    a.low = tight ? low : first * step, a.high = tight ? high : last * step;
    for (double k = first; k <= last && a.count < AXIS_TICKS; k++) a.ticks[a.count++] = k * step;
    return a;
}

static Axis log_axis(double low, double high, int most) {
    static const double one[] = {1}, two[] = {1, 3}, three[] = {1, 2, 5}, seven[] = {1, 1.5, 2, 3, 4, 5, 7};
    static const double *const marks[] = {seven, three, two, one};
    static const int counts[] = {7, 3, 2, 1};
    Axis a = {.low = low, .high = high, .log = true};
    if (a.high < a.low * 1.5) a.low /= 1.25, a.high *= 1.25;
    for (int kind = 0; kind < 4; kind++) {
        double power = 1;
        while (power > a.low) power /= 10;
        while (power * 10 <= a.low) power *= 10;
        a.count = 0;
        for (; power <= a.high * (1 + 1e-9); power *= 10)
            for (int i = 0; i < counts[kind]; i++) {
                double tick = marks[kind][i] * power;
                if (tick >= a.low * (1 - 1e-9) && tick <= a.high * (1 + 1e-9) && a.count < AXIS_TICKS) a.ticks[a.count++] = tick;
            }
        if (a.count <= most) break;
    }
    for (int stride = 2; a.count > most; stride = 2) { /* many decades: every second of them */
        int kept = 0;
        for (int i = 0; i < a.count; i += stride) a.ticks[kept++] = a.ticks[i];
        a.count = kept;
    }
    return a;
}

Axis axis_new(double low, double high, AxisKind kind, int most) {
    if (kind == AXIS_LOG && low > 0) return log_axis(low, high, most);
    return linear_axis(low, high, kind == AXIS_TIGHT, most);
}

double axis_place(const Axis *a, double x) {
    if (!a->log) return (x - a->low) / (a->high - a->low);
    return (d_log(x > 0 ? x : a->low) - d_log(a->low)) / (d_log(a->high) - d_log(a->low));
}

/* What no chart can show is left out: NaN, infinities, and what would overflow the arithmetic of an axis. */
static bool plottable(double x) { return x > -1e30 && x < 1e30; }

static void widen(double v, double *low, double *high, bool *any) {
    if (!plottable(v)) return;
    if (!*any || v < *low) *low = v;
    if (!*any || v > *high) *high = v;
    *any = true;
}

bool series_range(const Series *s, size_t count, bool of_x, double *low, double *high) {
    bool any = false;
    *low = *high = 0;
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < s[i].count; j++) {
            if (!plottable(s[i].x[j]) || (s[i].y && !plottable(s[i].y[j]))) continue;
            const double *value = of_x ? s[i].x : s[i].y, *least = of_x ? s[i].x_low : s[i].low, *most = of_x ? s[i].x_high : s[i].high;
            widen(value[j], low, high, &any);
            if (least) widen(least[j], low, high, &any);
            if (most) widen(most[j], low, high, &any);
        }
    return any;
}

/* ---- the plot ---- */

typedef struct {
    Axis x, y;
    double left, top, width, height;  /* of the plot inside the picture */
} Frame;

static double px(const Frame *f, double x) { return f->left + axis_place(&f->x, x) * f->width; }
static double py(const Frame *f, double y) { return f->top + (1 - axis_place(&f->y, y)) * f->height; }

static void begin_picture(Buf *out, const char *id, const char *title, const char *desc, int width, int height) {
    buf_format(out, "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-labelledby=\"%s-t %s-d\">\n<title id=\"%s-t\">", width, height, id, id, id);
    html_text(out, title, strlen(title));
    buf_format(out, "</title>\n<desc id=\"%s-d\">", id);
    html_text(out, desc, strlen(desc));
    buf_str(out, "</desc>\n");
}

static void put_line(Buf *out, const char *class, double x1, double y1, double x2, double y2) {
    buf_format(out, "<line class=\"%s\"", class);
    put_attribute(out, "x1", x1), put_attribute(out, "y1", y1), put_attribute(out, "x2", x2), put_attribute(out, "y2", y2);
    buf_str(out, "/>\n");
}

static void begin_text(Buf *out, const char *class, double x, double y, const char *anchor) {
    buf_format(out, "<text class=\"%s\"", class);
    put_attribute(out, "x", x), put_attribute(out, "y", y);
    if (anchor) buf_format(out, " text-anchor=\"%s\"", anchor);
    buf_str(out, ">");
}

static void put_tick(Buf *out, double value) {
    double size = value < 0 ? -value : value;
    if (size > 0 && (size < 1e-3 || size >= 1e6)) {
        char text[DECIMAL_MAX];
        decimal_print_float(text, (float)value);
        if (size >= 1e6 && size < 1e9) html_number(out, value / 1e6, 4), buf_char(out, 'M');
        else buf_str(out, text);
    } else html_number(out, value, 6);
}

static void put_axes(Buf *out, const Frame *f, const char *x_name) {
    double bottom = f->top + f->height, right = f->left + f->width;
    for (int i = 0; i < f->y.count; i++) {
        double y = py(f, f->y.ticks[i]);
        put_line(out, "grid", f->left, y, right, y);
        begin_text(out, "tick", f->left - 6, y + 4, "end");
        put_tick(out, f->y.ticks[i]);
        buf_str(out, "</text>\n");
    }
    put_line(out, "axis", f->left, bottom, right, bottom);
    for (int i = 0; i < f->x.count; i++) {
        double x = px(f, f->x.ticks[i]);
        put_line(out, "axis", x, bottom, x, bottom + 4);
        begin_text(out, "tick", x, bottom + 17, "middle");
        put_tick(out, f->x.ticks[i]);
        buf_str(out, "</text>\n");
    }
    if (!x_name) return;
    begin_text(out, "tick", right, bottom + 34, "end");
    html_text(out, x_name, strlen(x_name));
    buf_str(out, "</text>\n");
}

/* ---- series ---- */

static bool seen(const Series *s, size_t i) { return plottable(s->x[i]) && plottable(s->y[i]); }

static void path_to(Buf *out, const Frame *f, const Series *s, size_t i, bool begin) {
    buf_char(out, begin ? 'M' : 'L');
    put_at(out, px(f, s->x[i]));
    buf_char(out, ' ');
    put_at(out, py(f, s->y[i]));
}

/* Points i … of one column of a pixel, at most four of them: first, least and greatest in their order, last. Returns the next point. */
static size_t path_column(Buf *out, const Frame *f, const Series *s, size_t i, bool begin) {
    int64_t column = (int64_t)px(f, s->x[i]);
    size_t end = i, least = i, most = i;
    while (end < s->count && seen(s, end) && (int64_t)px(f, s->x[end]) == column) {
        if (s->y[end] < s->y[least]) least = end;
        if (s->y[end] > s->y[most]) most = end;
        end++;
    }
    size_t keep[4] = {i, least < most ? least : most, least < most ? most : least, end - 1};
    path_to(out, f, s, keep[0], begin);
    for (int k = 1; k < 4; k++)
        if (keep[k] != keep[k - 1]) path_to(out, f, s, keep[k], false);
    return end;
}

static void put_path(Buf *out, const Frame *f, const Series *s) {
    bool begin = true;
    buf_format(out, "<path class=\"line%s%s c%d\" d=\"", s->faint ? " faint" : "", s->dash ? " dash" : "", s->color % 8);
    for (size_t i = 0; i < s->count;) {
        if (!seen(s, i)) i++, begin = true;
        else i = path_column(out, f, s, i, begin), begin = false;
    }
    buf_str(out, "\"/>\n");
}

static void put_dot(Buf *out, double x, double y, int color) {
    buf_format(out, "<circle class=\"dot c%d\"", color % 8);
    put_attribute(out, "cx", x), put_attribute(out, "cy", y);
    buf_str(out, " r=\"3\"/>\n");
}

static void put_intervals(Buf *out, const Frame *f, const Series *s, size_t i) {
    char class[16] = "bar c0";
    class[5] = (char)('0' + s->color % 8);
    double x = px(f, s->x[i]), y = py(f, s->y[i]);
    if (s->low && plottable(s->low[i]) && plottable(s->high[i])) put_line(out, class, x, py(f, s->low[i]), x, py(f, s->high[i]));
    if (s->x_low && plottable(s->x_low[i]) && plottable(s->x_high[i])) put_line(out, class, px(f, s->x_low[i]), y, px(f, s->x_high[i]), y);
}

static void put_series(Buf *out, const Frame *f, const Series *s) {
    size_t points = 0;
    for (size_t i = 0; i < s->count; i++) points += seen(s, i);
    if (!points) return;
    if (s->line && points > 1) put_path(out, f, s);
    if (!s->dots && points > 1) return;
    for (size_t i = 0; i < s->count; i++)
        if (seen(s, i)) put_intervals(out, f, s, i), put_dot(out, px(f, s->x[i]), py(f, s->y[i]), s->color);
}

/* ---- labels: each beside its series' last point, moved apart where they would touch ---- */

enum { LABELS_MOST = 24, LABEL_GAP = 15, LABEL_COLUMNS = 11 };

typedef struct {
    double x, y;
    const char *text;
    int color;                        /* -1: of the floor */
} Label;

static int by_height(const void *a, const void *b, const void *context) {
    double x = ((const Label *)a)->y, y = ((const Label *)b)->y;
    (void)context;
    return x < y ? -1 : x > y;
}

static size_t gather_labels(const Chart *c, const Frame *f, Label labels[LABELS_MOST]) {
    size_t n = 0;
    for (size_t i = 0; i < c->count && n < LABELS_MOST; i++) {
        const Series *s = &c->series[i];
        size_t last = s->count;
        while (last && !seen(s, last - 1)) last--;
        if (s->label && last) labels[n++] = (Label){px(f, s->x[last - 1]), py(f, s->y[last - 1]), s->label, s->color % 8};
    }
    if (c->floor_label && is_finite(c->floor) && n < LABELS_MOST) labels[n++] = (Label){f->left + f->width, py(f, c->floor), c->floor_label, -1};
    return n;
}

static void put_labels(Buf *out, const Chart *c, const Frame *f) {
    Label labels[LABELS_MOST];
    size_t n = gather_labels(c, f, labels);
    double bottom = f->top + f->height;
    sort_stable(labels, n, sizeof *labels, by_height, NULL);
    for (size_t i = 1; i < n; i++)
        if (labels[i].y < labels[i - 1].y + LABEL_GAP) labels[i].y = labels[i - 1].y + LABEL_GAP;
    if (n && labels[n - 1].y > bottom) labels[n - 1].y = bottom;
    for (size_t i = n; i-- > 1;)
        if (labels[i - 1].y > labels[i].y - LABEL_GAP) labels[i - 1].y = labels[i].y - LABEL_GAP;
    for (size_t i = 0; i < n; i++) {
        char class[16] = "name c0";
        class[6] = (char)('0' + (labels[i].color < 0 ? 0 : labels[i].color));
        begin_text(out, labels[i].color < 0 ? "name floor" : class, labels[i].x + 7, labels[i].y + 4, NULL);
        html_text_short(out, labels[i].text, LABEL_COLUMNS);
        buf_str(out, "</text>\n");
    }
}

/* ---- charts ---- */

static bool chart_frame(const Chart *c, Frame *f) {
    double low, high, x_low, x_high;
    if (!series_range(c->series, c->count, false, &low, &high) || !series_range(c->series, c->count, true, &x_low, &x_high)) return false;
    bool any = true, log = c->log_y && low > 0, labels = is_finite(c->floor) && c->floor_label;
    if (is_finite(c->floor)) widen(c->floor, &low, &high, &any);
    if (c->zero_y) widen(0, &low, &high, &any);
    if (log && low > 0) low *= 0.97, high *= 1.03;
    for (size_t i = 0; i < c->count; i++) labels = labels || c->series[i].label;
    double right = labels ? 100 : 16;
    *f = (Frame){.left = 50, .top = 10, .width = c->width - 50 - right, .height = c->height - 10 - (c->x_name ? 40 : 24)};
    f->x = axis_new(x_low, x_high, AXIS_TIGHT, 6);
    f->y = axis_new(low, high, log ? AXIS_LOG : AXIS_ROUND, (int)(f->height / 32) < 3 ? 3 : (int)(f->height / 32));
    return true;
}

void svg_chart(Buf *out, const Chart *c) {
    Frame f;
    if (!chart_frame(c, &f)) return;
    begin_picture(out, c->id, c->title, c->desc, c->width, c->height);
    put_axes(out, &f, c->x_name);
    if (is_finite(c->floor)) put_line(out, "floor", f.left, py(&f, c->floor), f.left + f.width, py(&f, c->floor));
    if (c->zero_y) put_line(out, "axis", f.left, py(&f, 0), f.left + f.width, py(&f, 0));
    for (size_t i = 0; i < c->count; i++) put_series(out, &f, &c->series[i]);
    put_labels(out, c, &f);
    buf_str(out, "</svg>\n");
}

void svg_forest(Buf *out, const Forest *c) {
    enum { WIDTH = 480, DOT = 14, COLUMNS = 15, COLUMNS_MOST = 30 };
    double low = 0, high = 0, x_low, x_high, row = DOT * (double)c->count + 12;
    bool any = true;
    size_t columns = COLUMNS;
    if (!series_range(c->series, c->count, true, &x_low, &x_high)) return;
    for (size_t r = 0; r < c->row_count; r++)
        if (strlen(c->rows[r]) > columns) columns = strlen(c->rows[r]) < COLUMNS_MOST ? strlen(c->rows[r]) : COLUMNS_MOST;
    double left = 118 + 6.5 * (double)(columns - COLUMNS);
    widen(x_low, &low, &high, &any), widen(x_high, &low, &high, &any);
    Frame f = {.x = axis_new(low, high, AXIS_ROUND, 6), .y = {.low = 0, .high = 1}, .left = left, .top = 6, .width = WIDTH - left - 16,
               .height = row * (double)c->row_count};
    double bottom = f.top + f.height;
    begin_picture(out, c->id, c->title, c->desc, WIDTH, (int)(bottom + 42));
    for (int i = 0; i < f.x.count; i++) put_line(out, "grid", px(&f, f.x.ticks[i]), f.top, px(&f, f.x.ticks[i]), bottom);
    put_axes(out, &f, c->x_name);
    put_line(out, "zero", px(&f, 0), f.top, px(&f, 0), bottom);
    for (size_t r = 0; r < c->row_count; r++) {
        double top = f.top + row * (double)r;
        begin_text(out, "tick", left - 10, top + row / 2 + 4, "end");
        html_text_short(out, c->rows[r], columns);
        buf_str(out, "</text>\n");
        for (size_t i = 0; i < c->count; i++) {
            const Series *s = &c->series[i];
            double y = top + 6 + DOT * ((double)i + 0.5);
            char class[16] = "bar c0";
            class[5] = (char)('0' + s->color % 8);
            if (!plottable(s->x[r]) && i == 0) {
                bool right = px(&f, 0) < left + f.width / 2; /* on the side that has room */
                begin_text(out, "tick", px(&f, 0) + (right ? 8 : -8), top + row / 2 + 4, right ? "start" : "end");
                buf_str(out, "not known</text>\n");
            }
            if (!plottable(s->x[r])) continue;
            if (s->x_low && plottable(s->x_low[r]) && plottable(s->x_high[r])) put_line(out, class, px(&f, s->x_low[r]), y, px(&f, s->x_high[r]), y);
            put_dot(out, px(&f, s->x[r]), y, s->color);
        }
    }
    buf_str(out, "</svg>\n");
}
