/* progress: one live line on a terminal, plain lines elsewhere; both on standard error. */
#ifndef PROGRESS_H
#define PROGRESS_H

#include <stdbool.h>
#include <stddef.h>

typedef struct {
    const char *stage;                /* "pretrain" */
    size_t steps;
    bool live, quiet;
    double started, last_shown, interval;
    size_t first_step, tokens;        /* since started */
} Progress;

Progress progress_begin(const char *stage, size_t first_step, size_t steps);
/* After a step: stage, step, loss, tokens/s, memory, time left. Shown at most every interval, and at the last step. */
void progress_step(Progress *p, size_t step, double loss, size_t tokens);
/* Before something else is printed: leaves the live line as it is and goes to the next. */
void progress_break(Progress *p);

#endif
