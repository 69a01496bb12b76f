#include "progress.h"

#include "decimal.h"
#include "os.h"

#include <stdio.h>

Progress progress_begin(const char *stage, size_t first_step, size_t steps) {
    bool live = os_is_terminal(2);
    return (Progress){.stage = stage, .steps = steps, .first_step = first_step, .live = live, .started = os_seconds(), .interval = live ? 0.2 : 10};
}

static void print_time(char *text, size_t size, double seconds) {
    unsigned s = (unsigned)(seconds + 0.5);
    if (s >= 3600) snprintf(text, size, "%u:%02u:%02u", s / 3600, s / 60 % 60, s % 60);
    else snprintf(text, size, "%u:%02u", s / 60, s % 60);
}

void progress_step(Progress *p, size_t step, double loss, size_t tokens) {
    double now = os_seconds(), spent = now - p->started;
    char left[32], line[256];
    p->tokens += tokens;
    if (now - p->last_shown < p->interval && step < p->steps) return;
    p->last_shown = now;
    double rate = spent > 0 ? (double)p->tokens / spent : 0;
    print_time(left, sizeof left, spent / (double)(step - p->first_step) * (double)(p->steps - step));
    int n = snprintf(line, sizeof line, "%s  step %zu/%zu  loss %.4f  %.0f tokens/s  %.0f MB  %s left", p->stage, step, p->steps, loss, rate,
                     (double)os_peak_memory() / 1e6, left);
    int columns = os_terminal_columns();
    if (p->live && n > columns - 1) line[columns > 1 ? columns - 1 : 0] = 0;
    fprintf(stderr, p->live ? "\r\033[K%s" : "%s\n", line);
    if (p->live && step >= p->steps) fputc('\n', stderr), p->live = false;
    fflush(stderr);
}

void progress_break(Progress *p) {
    if (p->live && p->last_shown > 0) fputc('\n', stderr);
}
