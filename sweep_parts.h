/* sweep_parts: what sweep.c shares with sweep_file.c, which reads the description, and sweep_cell.c, which trains and measures one cell. */
#ifndef SWEEP_PARTS_H
#define SWEEP_PARTS_H

#include "measure.h"
#include "sweep.h"

enum { SELECT, REPORT, HALVES };

typedef struct {
    const char *name;
    const Json *flags, *rates;
    const char *flag;                 /* NULL: only the rates differ */
    const Json *strengths;            /* its values */
} Method;

/* The two halves of one file, and what the base makes of them. */
typedef struct {
    Measure half[HALVES];
    Measured before[HALVES];
    bool known;                       /* counts for forgetting */
} Halves;

typedef struct {
    JsonDoc *doc;
    const char *out, *base_path, *train_path;
    char base_hash[65], train_hash[65];
    const Json *flags;                /* of every cell */
    Method *methods;
    size_t method_count, cells;       /* cells: of each method */
    double tau, point;                /* point: how far above tau still is at tau */
    size_t steps, evaluations, seed;
    Model *base;
    Tokenizer *tok;
    Halves task, *suites;             /* the new task; what may be forgotten */
    size_t suite_count;
    bool by_text;                     /* forgetting is bits a byte */
} Sweep;

/* A checkpoint, measured. */
typedef struct {
    size_t step, new_tokens, total_tokens;
    double learning;                  /* on the select half */
    bool whole;                       /* the rest is known, too: */
    Interval reported;                /* learning on the report half */
    Interval forgetting;              /* on the report half */
    double select_forgetting;
} Point;

typedef struct {
    const Method *method;
    double rate, strength;
    char *name, *dir;
    char key[65];                     /* SHA-256 of all that decides its points: not of tau */
    Point *curve, *between;           /* [evaluations + 1] from the base on; and what was measured between two of them */
    size_t curve_count, between_count;
    Point matched;                    /* step 0: not reached */
    size_t bracket;                   /* steps from the last point below tau to the matched one */
    bool chosen;                      /* of the method's cells */
} Cell;

/* ---- sweep_file.c ---- */
Sweep sweep_open(const char *path, const char *out);
/* Cell i of all: its name and key. */
Cell cell_open(const Sweep *s, size_t i);

/* ---- sweep_cell.c ---- */
/* What the base scores, and which suites it knows. */
void measure_base(Sweep *s);
/* Trains, measures and matches the cell, or reads what of that is finished (resume). */
void cell_run(Sweep *s, Cell *c, bool resume);
/* Of gradients and updates up to the matched step, by the mean of those that were made; NaN: unknown. */
double cell_seconds(const Cell *c);
void put_point(JsonWriter *w, const char *key, const Point *p);

#endif
