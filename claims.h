/* claims: what is said about fine-tuning, as experiments on the story world.
 *
 *     claims.c             the laboratory: what is measured; a cell runs once and is written into the record
 *     claims_data.c        the rows of the experiments: the first of a task, with errors, with repetitions, in other words
 *     claims_page.c        scores over seeds and items, tables, verdicts
 *     claims_learning.c    what tuning brings: the experiments on cost, data, rates, form
 *     claims_forgetting.c  what tuning costs: matched learning, sequences of tasks, a newer base
 *
 * A cell is one line of a table: training runs from a base, one after the other, and what the models then score. Its key is the SHA-256 of
 * all that decides its results; a key that stands in the record is not run again. Scores are of the report halves.
 */
#ifndef CLAIMS_H
#define CLAIMS_H

#include "measure.h"
#include "svg.h"
#include "tinystories/tinystories.h"

/* What the models of a cell are measured on. */
enum { ON_JSON = 1 << TASK_JSON, ON_CODE = 1 << TASK_CODE, ON_SUPPORT = 1 << TASK_SUPPORT, ON_TASKS = 7, ON_SKILLS = 8, ON_STORIES = 16 };

typedef struct Record Record;

typedef struct {
    const char *base;                 /* model folder */
    const char *out;                  /* folder: what cells write while they run */
    char *world, *log;                /* OUT/stories: the story world's files; OUT/log.txt: all that the runs print */
    size_t seeds;                     /* 1 .. seeds; 1: the quick run */
    char base_hash[65];
    Tokenizer *tok;
    Measure tasks[TASKS], skills[SKILLS], stories;
    Record *record;
    Buf picture;                      /* what the remedies cost, as SVG */
    size_t done, run;                 /* cells asked for, cells run */
    Sha256 results;                   /* of all results asked for, in that order */
} Lab;

/* Stage k writes one model or adapter; 0 is the base, or no adapter. */
typedef struct {
    size_t model, adapter;            /* what it begins with */
    const char *data;                 /* rows; NULL: nothing is trained, the two are measured as they are */
    const char *flags;                /* of train, separated by spaces; a word with '/' is a file, known to the key by its hash */
    const char *fisher;               /* EWC: a text whose Fisher information, of the model it begins with, goes to --ewc */
} Stage;

/* Answers whose form alone counts. */
typedef struct {
    Task task;
    size_t wording;                   /* 0: the training rows' */
    double temperature;
    uint32_t seed;
} Probe;

enum { STAGES = 9 };
typedef struct {
    const char *row, *method, *setting;
    size_t order, seed;
    Stage stages[STAGES];
    size_t count;                     /* of stages; 0: the base itself */
    unsigned on;                      /* ON_… */
    const Probe *probes;
    size_t probe_count;
    bool curve;                       /* the losses along each stage, too */
    /* instead of stages: a sweep of one method (forget --sweep) */
    const char *rates;                /* "1e-3, 3e-3"; NULL: no sweep */
    const char *strengths;            /* "\"l2-sp\": [0.1, 1]"; NULL: none */
    double tau;
    size_t steps, evaluations;
    const char *begin;                /* model folder; NULL: the base */
} Cell;

Lab lab_open(const char *base, const char *out, const char *record, size_t seeds);
/* The cell's results: of stages a list with the members items (of each suite "0110…"), bits_per_byte, steps, tokens, trained, kept (of each probe), curve;
 * of a sweep the cells of frontier.json. They live as long as the lab. */
const Json *lab_run(Lab *l, const Cell *c);
/* The cell with each of the seeds 1 .. l->seeds; the list is the caller's. */
const Json **lab_seeds(Lab *l, Cell c);
/* A model folder of the base's shape and tokenizer with the weights that a new model begins with; the path is the caller's. */
char *lab_untrained(const Lab *l);
/* Seconds of training when the cell was run, of its stage `at`; of a sweep those to where its cell `at` was matched. Not part of the results. */
double lab_seconds(const Lab *l, const Json *results, size_t at);
/* Writes the file for train --ewc: of 200 of the data's sequences. */
void lab_fisher(const Lab *l, const char *model, const char *data, const char *path);
/* What the last lines of a run's log.jsonl say. */
typedef struct {
    double steps, tokens;
} LogEnd;
LogEnd log_end(const char *dir);
void lab_close(Lab *l);

/* ---- claims_data.c: files in OUT/data, written anew by every call; the path is the caller's ---- */

char *data_rows(const Lab *l, Task task, size_t first, size_t count);
/* A share of the rows has the answer of another row; or is replaced by copies of the others. */
char *data_wrong(const Lab *l, Task task, size_t count, double share);
char *data_repeated(const Lab *l, Task task, size_t count, double share);
/* Rows of several tasks, `count` of each. */
char *data_joint(const Lab *l, const Task *tasks, size_t task_count, size_t count);
/* Documents of the base's own training, from `first` on; and rows of earlier tasks among them, all as {"text"} rows. */
char *data_earlier(const Lab *l, uint32_t seed, size_t documents, const Task *tasks, size_t task_count, size_t rows);
/* The report half's questions in other words. */
enum { WORDINGS = 4 };
char *data_wording(const Lab *l, Task task, size_t wording);
/* Is it an answer of the task's form, right or wrong? */
bool task_form(Task task, const char *answer);

/* ---- claims_page.c ---- */

/* The share of right answers of one seed's results. */
double score_of(const Json *results, size_t stage, const char *suite);
/* One suite's items over the seeds' results: a mean with its 95 % interval. suite "skills" is all four. */
Interval score_over(const Lab *l, const Json *const *results, size_t stage, const char *suite);
/* b - a, paired by seed and item. */
Interval change_over(const Lab *l, const Json *const *a, size_t stage_a, const Json *const *b, size_t stage_b, const char *suite);
/* Of n numbers, one for each seed, or seed and order. */
Interval number_over(const double *values, size_t n);

/* Of a sweep's cell, where it was matched; NaN: it was not. */
double matched_number(const Json *cell, const char *key);

void page_section(Buf *page, const char *statement, const char *how);
void page_number(Buf *page, double x, int decimals);
void page_interval(Buf *page, Interval i, int decimals, bool sign);
/* A file of its own, for light and dark. */
void page_picture(Buf *out, const Forest *f);
/* "more", "less", or "not told apart": only the first two where the interval excludes 0. */
const char *verdict(Interval change);

/* ---- the experiments: each runs its cells and writes its section ---- */

void claim_scratch(Lab *l, Buf *page);
void claim_little_data(Lab *l, Buf *page);
void claim_labels(Lab *l, Buf *page);
void claim_gently(Lab *l, Buf *page);
void claim_lora(Lab *l, Buf *page);
void claim_instructions(Lab *l, Buf *page);
void claim_form(Lab *l, Buf *page);
void claim_overfitting(Lab *l, Buf *page);
void claim_matched(Lab *l, Buf *page);
void claim_sequence(Lab *l, Buf *page);
void claim_newer_base(Lab *l, Buf *page);

#endif
