#include "stats.h"

#include "fp.h"

#include <assert.h>

static const double z95 = 1.959963984540054, pi = 3.141592653589793;

/* P(|T| < t) for t = sqrt(degrees)·tan(angle), a finite sum for every whole number of degrees (Abramowitz & Stegun 26.7.3, 26.7.4):
 *
 *     odd    2/pi (angle + sin (cos + 2/3 cos³ + 2·4/(3·5) cos⁵ + … + cos^(degrees-2)))
 *     even   sin (1 + 1/2 cos² + 1·3/(2·4) cos⁴ + … + cos^(degrees-2))                                                              */
static double student_within(double angle, size_t degrees) {
    double c = d_cos(angle), s = d_sin(angle), odd = (double)(degrees % 2), term = degrees % 2 ? c : 1, sum = 0;
    for (size_t k = degrees % 2 ? 3 : 2; k <= degrees; k += 2) {
        sum += term;
        term *= c * c * (double)(k - 1) / (double)k;
    }
    return odd > 0 ? 2 / pi * (angle + s * sum) : s * sum;
}

double student_t95(size_t degrees) {
    assert(degrees >= 1);
    if (degrees > 10000) return z95 + (z95 * z95 * z95 + z95) / (4 * (double)degrees); /* the next term is below 1e-7 */
    double low = 0, high = pi / 2;
    for (int i = 0; i < 60; i++) {
        double middle = (low + high) / 2;
        if (student_within(middle, degrees) < 0.95) low = middle;
        else high = middle;
    }
    return d_sqrt((double)degrees) * d_sin(low) / d_cos(low);
}

/* before NULL: of after alone. */
static Estimate estimate(const double *before, const double *after, size_t n) {
    double sum = 0, squares = 0, count = (double)n;
    Estimate e;
    assert(n >= 1);
    for (size_t i = 0; i < n; i++) sum += before ? after[i] - before[i] : after[i];
    e.mean = sum / count;
    for (size_t i = 0; i < n; i++) {
        double d = (before ? after[i] - before[i] : after[i]) - e.mean;
        squares += d * d;
    }
    e.error = n > 1 ? d_sqrt(squares / (count - 1) / count) : bits_double(0x7ff0000000000000);
    double half = n > 1 ? student_t95(n - 1) * e.error : e.error;
    e.low = e.mean - half, e.high = e.mean + half;
    return e;
}

Estimate estimate_mean(const double *x, size_t n) { return estimate(NULL, x, n); }
Estimate estimate_paired(const double *before, const double *after, size_t n) { return estimate(before, after, n); }

void wilson_interval(double hits, size_t count, double *low, double *high) {
    double n = (double)count, p = hits / n, z2 = z95 * z95;
    double centre = (p + z2 / (2 * n)) / (1 + z2 / n), half = z95 * d_sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n);
    *low = centre - half < 0 ? 0 : centre - half;
    *high = centre + half > 1 ? 1 : centre + half;
}

Estimate estimate_paired_shares(const double *before, const double *after, size_t n) {
    Estimate e = estimate(before, after, n);
    double better = 0, worse = 0, more = (double)n + 2;
    for (size_t i = 0; i < n; i++) better += after[i] > before[i], worse += after[i] < before[i];
    double centre = (better - worse) / more;
    double half = z95 * d_sqrt(better + worse + 1 - (better - worse) * (better - worse) / more) / more;
    e.low = centre - half < -1 ? -1 : centre - half;
    e.high = centre + half > 1 ? 1 : centre + half;
    return e;
}
