/* Intervals against values computed by hand or read from tables. */
#include "../fp.h"
#include "../stats.h"
#include "test.h"

static bool near(double a, double b, double within) { return (a > b ? a - b : b - a) <= within; }

static void test_student(void) {
    static const struct { size_t degrees; double t; } table[] = {{1, 12.7062047364}, {2, 4.3026527297}, {3, 3.1824463053}, {4, 2.7764451052},
        {9, 2.2621571628}, {10, 2.2281388520}, {30, 2.0422724563}, {99, 1.9842169515}, {100, 1.9839715185}, {1000, 1.9623390808}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        CHECK(near(student_t95(table[i].degrees), table[i].t, 2e-9), "%zu: %.10f", table[i].degrees, student_t95(table[i].degrees));
    CHECK(near(student_t95(10000), student_t95(10001), 1e-7), "the sum and the expansion part: %.10f", student_t95(10001));
}

static void test_mean(void) {
    double x[] = {2, 4, 4, 4, 5, 5, 7, 9}; /* mean 5, squares 32: deviation sqrt(32/7), error sqrt(32/7/8), t of 7 degrees 2.3646242510 */
    Estimate e = estimate_mean(x, 8);
    CHECK(e.mean == 5, "%g", e.mean);
    CHECK(near(e.error, 0.7559289460, 1e-10), "%.10f", e.error);
    CHECK(near(e.high, 5 + 2.3646242510 * 0.7559289460, 1e-8) && near(e.low + e.high, 10, 1e-12), "%.10f", e.high);
    e = estimate_mean(x, 1);
    CHECK(e.mean == 2 && !is_finite(e.error) && !is_finite(e.low) && !is_finite(e.high), "one item says nothing of the spread");
}

static void test_paired(void) {
    double before[] = {1, 2, 3, 4, 5}, after[] = {1.5, 2.5, 3.5, 4.5, 7}; /* differences .5 .5 .5 .5 2: mean .8, squares 1.8 */
    Estimate e = estimate_paired(before, after, 5);
    CHECK(near(e.mean, 0.8, 1e-15), "%g", e.mean);
    CHECK(near(e.error, 0.3, 1e-12), "sqrt(1.8/4/5): %g", e.error);
    CHECK(near(e.low, 0.8 - 2.7764451052 * 0.3, 1e-9), "%g", e.low);
    e = estimate_paired(before, before, 5);
    CHECK(e.mean == 0 && e.error == 0 && e.low == 0 && e.high == 0, "a model beside itself");
}

static void test_shares(void) {
    double low, high, before[10] = {1, 1, 1, 1, 0, 0, 0, 0, 0, 0}, after[10] = {1, 1, 1, 0, 1, 1, 1, 1, 0, 0};
    wilson_interval(8, 10, &low, &high); /* (0.8 + z²/20) / (1 + z²/10) ± …: 0.7167 ± 0.2265 */
    CHECK(near(low, 0.4901625, 1e-7) && near(high, 0.9433178, 1e-7), "%.7f %.7f", low, high);
    wilson_interval(0, 20, &low, &high); /* high: z²/(20 + z²) */
    CHECK(low == 0 && near(high, 3.841458821 / 23.841458821, 1e-9), "%.9f", high);
    wilson_interval(20, 20, &low, &high);
    CHECK(high == 1 && near(low, 20 / 23.841458821, 1e-9), "%.9f", low);
    Estimate e = estimate_paired_shares(before, after, 10); /* 4 better, 1 worse: 3/12 ± z sqrt(6 - 9/12)/12 */
    CHECK(near(e.mean, 0.3, 1e-15), "%g", e.mean);
    CHECK(near(e.error, 0.2134374746, 1e-9), "sqrt((5 - 0.9)/9/10): %.10f", e.error);
    CHECK(near(e.low, 0.25 - 1.959963985 * 0.1909406539, 1e-8) && near(e.high, 0.25 + 1.959963985 * 0.1909406539, 1e-8), "%g %g", e.low, e.high);
    e = estimate_paired_shares(before, before, 10); /* ± z/12 */
    CHECK(e.mean == 0 && near(e.high, 1.959963985 / 12, 1e-9) && e.low == -e.high, "%g %g", e.low, e.high);
    double none[2] = {0, 0}, all[2] = {1, 1};
    e = estimate_paired_shares(none, all, 2);
    CHECK(e.mean == 1 && e.high == 1 && e.low < 1, "bounded by 1: %g", e.high);
}

TESTS({"Student's t", test_student}, {"mean and error", test_mean}, {"paired differences", test_paired}, {"shares", test_shares})
