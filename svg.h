/* svg: charts as text. Lines, dots and intervals over two axes with round ticks; labels stand at the lines they name.
 *
 * Colours, fonts and sizes are the page's: elements carry classes (c0 … c7 for the colour of a series; line, faint, dash, dot, bar, grid,
 * tick, name), and the style sheet says how they look, in the light, in the dark and on paper. Coordinates are decimals with one digit, made
 * by integer arithmetic: equal numbers give equal bytes.
 */
#ifndef SVG_H
#define SVG_H

#include "base.h"

/* Text inside HTML or SVG, in elements and in quoted attributes: & < > " ' are escaped, bytes that are no UTF-8 and control characters
 * become U+FFFD. */
void html_text(Buf *out, const char *s, size_t n);
/* At most `columns` characters of it, then "…"; wide characters (CJK) count two. Returns the columns used. */
size_t html_text_short(Buf *out, const char *s, size_t columns);
/* The number rounded to `digits` significant ones, in shortest form: 0.4419, 12.3, 2,200, 1.5e-7; "–" when it is not finite. */
void html_number(Buf *out, double x, int digits);
/* The same with a fixed number of decimals and, if asked, a sign: +0.013. */
void html_decimals(Buf *out, double x, int decimals, bool sign);

enum { AXIS_TICKS = 16 };

typedef struct {
    double low, high;                 /* of the plot: low < high */
    bool log;
    double ticks[AXIS_TICKS];
    int count;
} Axis;

typedef enum { AXIS_ROUND, AXIS_TIGHT, AXIS_LOG } AxisKind;
/* Holds low … high, with about `most` round ticks (at least 2). ROUND ends at ticks, TIGHT and LOG at low and high; LOG needs low > 0,
 * else the axis is ROUND. Equal ends are widened. */
Axis axis_new(double low, double high, AxisKind kind, int most);
double axis_place(const Axis *a, double x);     /* 0 at low, 1 at high; may lie outside */

typedef struct {
    const double *x, *y;              /* [count]; points with a coordinate that is not finite are left out, and break the line */
    const double *low, *high;         /* [count] interval of y; NULL: none */
    const double *x_low, *x_high;     /* [count] interval of x; NULL: none */
    size_t count;
    const char *label;                /* at its last point; NULL: none */
    int color;
    bool line, dots, faint, dash;
} Series;

typedef struct {
    const char *id;                   /* unique in the page; of ASCII letters, digits, - */
    const char *title, *desc;         /* for those who do not see it */
    const char *x_name;
    int width, height;
    bool log_y;
    bool zero_y;                      /* the y axis holds 0 */
    double floor;                     /* a dashed line at this y; NaN: none */
    const char *floor_label;
    const Series *series;
    size_t count;
} Chart;

/* Appends <svg>…</svg>. Lines of more points than pixels are thinned: each column of a pixel keeps its first, least, greatest and last point. */
void svg_chart(Buf *out, const Chart *c);

/* One suite or part a row, one dot a series: x with an interval, about a line at 0. */
typedef struct {
    const char *id, *title, *desc, *x_name;
    const char *const *rows;          /* [row_count] names */
    size_t row_count;
    const Series *series;             /* x, x_low, x_high [row_count]; y is not used */
    size_t count;
} Forest;
void svg_forest(Buf *out, const Forest *f);

/* The largest value of y over all series and the least, intervals included; false: there is no point. */
bool series_range(const Series *s, size_t count, bool of_x, double *low, double *high);

#endif
