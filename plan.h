/* plan: the memory and the time that a run takes, before it is begun; what to change when it does not fit; room on the disk. */
#ifndef PLAN_H
#define PLAN_H

#include "train.h"

/* Bytes of anonymous memory at the peak of a run; the weights' file, which is only mapped, is not among them. */
typedef struct {
    size_t weights, gradients, moments, activations;
    size_t other;                     /* tokenizer, rows, tables, the program itself */
    size_t peak;                      /* the sum */
} Memory;

/* Of a run whose settings are made (training_settings), before its gradients and its Pass are: what stands already is counted as it is, what does
 * not stand yet (also weights: model_outline) by its size. */
Memory plan_memory(const Training *t);

/* Another way to carry the same run out, or to tune by LoRA instead. */
typedef struct {
    const char *flags;                /* "--recompute --micro-batch 1" */
    Memory memory;
} Change;
enum { PLAN_CHANGES = 5 };
/* Those that need less memory than `now`; model_path: NULL where there is no LoRA to advise. Returns how many. */
size_t plan_changes(const Training *t, const char *model_path, const Memory *now, Change list[PLAN_CHANGES]);

/* Seconds of a step on this machine: measured on two layers and the head of the same shapes, trained in the same way, which takes some ten times
 * `budget` seconds at most where a few tokens do not take longer; frozen lower layers are counted as if they were trained. */
double plan_step_seconds(const Training *t, double budget);

/* On standard error, one or two lines: memory, part by part, and time; seconds 0: not measured. */
void plan_print(const Training *t, const Memory *m, double seconds);
/* bad_input with what to change when the peak is above `memory` bytes; 0: any fits. */
void plan_refuse(const Training *t, const char *model_path, const Memory *m, uint64_t memory);
/* The same for the weights alone, before they are read. */
void plan_refuse_weights(const char *stage, const char *model_path, bool keep_16bit);

/* The result lines of `finetune plan`, or one JSON object. */
void plan_report(const Training *t, const char *model_path, const Memory *m, uint64_t memory, double seconds, bool json);

#endif
