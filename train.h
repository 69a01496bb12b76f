/* train: the loop. Samples in, updates, evaluations, checkpoints, a log; the same bits however it is cut into micro-batches,
 * threads and sessions. */
#ifndef TRAIN_H
#define TRAIN_H

#include "cli.h"
#include "dataset.h"
#include "optim.h"
#include "penalty.h"
#include "run.h"

/* What keeps tuning from forgetting (remedy.h); all zero: nothing does.
 *
 * Replay: of the endless sequence of samples, place i is a sample of the earlier tasks where floor((i+1) share) > floor(i share), else one of
 * the new task's; each of the two goes through its own epochs in its own order. So every batch has its share, and an epoch of n new samples
 * has share/(1-share) n replayed ones. Distilled samples come last in a batch. */
typedef struct {
    Source replay;                    /* samples 0: none */
    double share;                     /* of replay among all samples, below 1 */
    double kl;                        /* weight of KL(base‖model); 0: none */
    bool kl_replay;                   /* at every token of the replayed samples, which are then not learned themselves; else of the new ones */
    Model *teacher;                   /* the base; the model itself: without its adapter */
    const Penalty *penalty;           /* NULL: none */
} Remedies;

typedef struct {
    const char *stage;                /* for the progress line: "pretrain" */
    Model *model;
    Tokenizer *tok;
    Source source;
    const Corpus *valid;              /* held-out text; NULL: none */
    Source held;                      /* or held-out samples; samples 0: none */
    const char *metric;               /* a score on the held-out samples that chooses the best step; NULL: their loss does */
    double (*measure)(void *measured, const Model *m);   /* larger is better */
    void *measured;
    size_t patience;                  /* evaluations without a better one before it stops; 0: to the end */
    OptimOptions optim;
    size_t batch, micro_batch;        /* samples; micro_batch 0: as many as TRAIN_TOKENS allows */
    size_t tokens;                    /* of the largest micro-batch; 0: not known, as many as its samples may have */
    uint64_t end;                     /* samples of all epochs: the last batch may be short */
    size_t eval_every, save_every, stop_at;   /* steps; stop_at 0: run to the end */
    double save_seconds;              /* a checkpoint also after so many seconds since the last one; 0: never for that */
    size_t sample_tokens;             /* of the text shown at each evaluation; 0: none */
    bool shuffle, recompute;
    Stored saved_as;                  /* how the published model holds its weights; checkpoints are always exact */
    uint32_t seed;
    size_t kept;                      /* set by training_run: the step that OUT holds */
    Remedies remedies;
    /* for plan.h: mean tokens of a sample and the share of them that is learned (0: the longest, and all); bytes that `measure` takes;
     * and bytes of what a mere plan did not make */
    double mean, learned;
    size_t measuring, beside;
} Training;

/* Flags that every training command has; set the defaults before. */
typedef struct {
    Common common;
    const char *schedule, *order, *warmup, *save_every;
    double lr, min_lr, beta1, beta2, eps, weight_decay, clip, epochs, minutes;
    size_t batch, micro_batch, steps, eval_every, stop_at;
    bool recompute, resume, force, dry_run;
} TrainFlags;

#define TRAIN_FLAGS(o) \
    {"--batch", FLAG_SIZE, DEFINING, &(o).batch, 1, 1048576, "N", "samples of one update", false}, \
    {"--micro-batch", FLAG_SIZE, EXECUTION, &(o).micro_batch, 0, 1048576, "N", \
        "samples computed at a time; 0: chosen; any number gives the same bits", false}, \
    {"--steps", FLAG_SIZE, DEFINING, &(o).steps, 0, 1e9, "N", "updates; 0: by --epochs or --minutes", false}, \
    {"--epochs", FLAG_REAL, DEFINING, &(o).epochs, 0, 1e6, "X", "times through the samples", false}, \
    {"--minutes", FLAG_REAL, EXECUTION, &(o).minutes, 0, 1e6, "X", "as many steps as fit, timed before the first", false}, \
    {"--lr", FLAG_REAL, DEFINING, &(o).lr, 0, 10, "X", "peak learning rate", false}, \
    {"--min-lr", FLAG_REAL, DEFINING, &(o).min_lr, 0, 10, "X", "learning rate at the end", false}, \
    {"--schedule", FLAG_TEXT, DEFINING, &(o).schedule, 0, 0, "NAME", "constant, linear, cosine or wsd", false}, \
    {"--warmup", FLAG_TEXT, DEFINING, &(o).warmup, 0, 0, "N|P%", "steps, or percent of them, to the peak", false}, \
    {"--beta1", FLAG_REAL, DEFINING, &(o).beta1, 0, 0.9999999, "X", "AdamW's decay of the first moment", false}, \
    {"--beta2", FLAG_REAL, DEFINING, &(o).beta2, 0, 0.9999999, "X", "AdamW's decay of the second moment", false}, \
    {"--eps", FLAG_REAL, DEFINING, &(o).eps, 1e-30, 1, "X", "AdamW's epsilon", false}, \
    {"--weight-decay", FLAG_REAL, DEFINING, &(o).weight_decay, 0, 10, "X", "of tensors of two dimensions", false}, \
    {"--clip", FLAG_REAL, DEFINING, &(o).clip, 0, 1e9, "X", "largest gradient norm; 0: no clipping", false}, \
    {"--order", FLAG_TEXT, DEFINING, &(o).order, 0, 0, "NAME", "of the samples: shuffle or file", false}, \
    {"--eval-every", FLAG_SIZE, DEFINING, &(o).eval_every, 0, 1e9, "N", "steps between evaluations; 0: a tenth of all steps", false}, \
    {"--save-every", FLAG_TEXT, EXECUTION, &(o).save_every, 0, 0, "N|10m", \
        "steps between checkpoints, else at evaluations; 90s, 10m, 2h: also whenever so long has passed", false}, \
    {"--recompute", FLAG_SWITCH, EXECUTION, &(o).recompute, 0, 0, NULL, "keep layer inputs only: less memory, more time, the same bits", false}, \
    {"--resume", FLAG_SWITCH, EXECUTION, &(o).resume, 0, 0, NULL, "go on from the newest checkpoint in --out", false}, \
    {"--stop-at", FLAG_SIZE, EXECUTION, &(o).stop_at, 0, 1e9, "STEP", "save and leave after that update, as Ctrl-C does; 0: never", false}, \
    {"--force", FLAG_SWITCH, EXECUTION, &(o).force, 0, 0, NULL, "replace an old run in --out", false}, \
    {"--dry-run", FLAG_SWITCH, EXECUTION, &(o).dry_run, 0, 0, NULL, "print settings and memory, then leave", false}, \
    COMMON_FLAGS((o).common)

/* Checks the flags and fills optim, batch, end, intervals; steps is resolved (--minutes: later, by training_minutes). */
void training_settings(Training *t, TrainFlags *f);
/* --minutes: a new run times ten steps that are not kept and fixes its number of steps; one that is resumed from `out` keeps its own. */
void training_minutes(Training *t, TrainFlags *f, const char *out);
/* Updates at rising rates, which are not kept; prints rate and loss of each on standard output, and which rate looks good. */
void training_find_lr(Training *t, const TrainFlags *f);
/* Refuses a folder that exists before anything is computed. */
void training_check_out(const TrainFlags *f, const char *out);
/* Refuses a disk without room for the run, before anything is written. */
void training_check_space(const Training *t, const char *out);
/* The result line of a run that is done: its folder and the folder's hash. */
void training_result(const TrainFlags *f, const char *out);
/* Tokens that a pass has room for; those of the longest sample. */
size_t training_tokens(const Training *t);
size_t training_longest(const Training *t);
/* What training_settings puts into t->tokens: walks all batches of the run. */
size_t training_most_tokens(const Training *t);
/* Trains into the run's folder from its newest checkpoint or from the start; publishes the best model. Returns the exit code. */
int training_run(Training *t, Run *run, int argc, char **argv);

#endif
