/* run: the folder of a training run.
 *
 *     OUT/run.json              settings that decide bits, hashes of the inputs: equal for equal runs
 *     OUT/log.jsonl             one line a step, an evaluation, a sample: equal for equal runs
 *     OUT/timing.jsonl          how it was carried out: command line, threads, compiler, seconds
 *     OUT/config.json …         the best model so far, published from its checkpoint
 *     OUT/checkpoints/step-00000120/   model.safetensors, state.safetensors (AdamW's moments), state.json, config.json
 *
 * Of a model with an adapter both hold the adapter's two files in place of the model's.
 *
 * A checkpoint is written as checkpoints/.tmp-step-…, synced, and renamed once, so it is there whole or not at all. The last two and
 * the best are kept.
 */
#ifndef RUN_H
#define RUN_H

#include "json.h"
#include "model.h"
#include "os.h"
#include "tokenizer.h"

/* What a checkpoint holds beside weights and moments. */
typedef struct {
    size_t step;                      /* updates done */
    size_t tokens;                    /* supervised tokens seen */
    size_t new_tokens, total_tokens;  /* tokens computed, prompts too: of the new task's samples; of all, with what remedies add */
    size_t best_step;                 /* 0: no evaluation yet */
    double best_loss;
    bool scored;                      /* by a score, not by the loss: */
    double best_score;
    size_t log_bytes;                 /* length of log.jsonl at this step */
} State;

typedef struct {
    char *out;
    OsLock *lock;
    OsLog *log, *timing;
    size_t log_bytes;
} Run;

/* Opens OUT for a run whose run.json is `settings`. Fresh: OUT must not exist, or --force replaces an old run (never a folder that is no
 * run). Resume: run.json must be the same, else bad_input names the first difference. */
Run *run_open(const char *out, const Buf *settings, bool resume, bool force);
/* The settings of an existing run, or NULL. */
JsonDoc *run_settings(const char *out);
/* Appends a finished object to log.jsonl, and frees it. */
void run_log(Run *r, JsonWriter *line);
void run_timing(Run *r, JsonWriter *line);
void run_close(Run *r);

/* Bytes of one checkpoint, and of what OUT holds at the end. */
uint64_t checkpoint_bytes(const Model *m);
uint64_t published_bytes(const Model *m, Stored as);
/* bad_input, before anything is written, when a run that saves so often has no room in OUT; what an old run there takes counts as room. */
void run_need_space(const char *out, const Model *m, Stored as, size_t saves);

/* Weights, moments and state of `step`; afterwards all but the last two and the best are removed. */
void checkpoint_save(Run *r, const Model *m, const State *s);
/* The newest checkpoint that verifies, into the model (weights, and moments when it has them) and *s; log.jsonl is cut back to it.
 * False: there is none. Those that do not verify are named on standard error. */
bool checkpoint_load(Run *r, Model *m, State *s);
/* OUT/ becomes the model (or the adapter) of checkpoint `step`: its weights with config, tokenizer. */
void checkpoint_publish(Run *r, const Model *m, const Tokenizer *tok, size_t step, Stored as);
/* The weights of checkpoint `step` into the model. */
void checkpoint_weights(const Run *r, Model *m, size_t step);
/* OUT/checkpoints/step-00000120 */
char *checkpoint_path(const Run *r, size_t step);

#endif
