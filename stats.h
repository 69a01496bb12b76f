/* stats: how sure a score is. Every interval is of 95 %; every sum runs in the order of the items, in double. */
#ifndef STATS_H
#define STATS_H

#include <stddef.h>

typedef struct {
    double mean;
    double error;                     /* its standard error, of the deviation with n-1; infinite for one item */
    double low, high;                 /* mean ± t·error, Student's t with n-1 degrees of freedom */
} Estimate;

/* Of n >= 1 items. */
Estimate estimate_mean(const double *x, size_t n);
/* Of the differences after[i] - before[i]: what two models' scores on the same items have in common cancels. */
Estimate estimate_paired(const double *before, const double *after, size_t n);

/* Of a share of `hits` in `count` >= 1 (Wilson 1927): right for shares near 0 and 1, and for few items. */
void wilson_interval(double hits, size_t count, double *low, double *high);
/* The same for a difference of two shares on the same items: arrays of 1 (right) and 0. mean and error are estimate_paired's; low and high
 * are Agresti and Min's (2005, Wald's interval with half an item more in each of the four cells): not of width 0 where no item changed. */
Estimate estimate_paired_shares(const double *before, const double *after, size_t n);

/* Student's t: |t| stays below it with a probability of 95 %. degrees >= 1. */
double student_t95(size_t degrees);

#endif
