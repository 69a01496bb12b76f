/* test.h: a test program is a table of named functions.
 *
 *     TESTS({"sum of one", test_sum_of_one}, …)         program [--list | FILTER]
 *
 * CHECK counts; a program in which no check ran has failed. Closing line: "NAME: N passed, N failed". */
#ifndef TEST_H
#define TEST_H

#include "../base.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const char *name;
    void (*run)(void);
} Test;

static int test_passed, test_failed;

#define CHECK(condition, ...) \
    do { \
        if (condition) test_passed++; \
        else if (++test_failed <= 20) printf("%s:%d: %s:", __FILE__, __LINE__, #condition), printf(" " __VA_ARGS__), putchar('\n'); \
    } while (0)

/* The statement must fail with this exit code and a message that holds `words`. */
#define CHECK_FAILS(exit_code, words, statement) \
    do { \
        Catch catch_; \
        if (!setjmp(catch_begin(&catch_)->jump)) { \
            statement; \
            catch_end(&catch_); \
            CHECK(0, "%s did not fail", #statement); \
        } else CHECK(catch_.code == (exit_code) && strstr(catch_.text, words), "%s gave %d: %s", #statement, catch_.code, catch_.text); \
    } while (0)

/* A test that needs what is not here says so; it does not count as passed. */
#define SKIP(...) (printf("skipped: "), printf(__VA_ARGS__), putchar('\n'))

static inline int test_main(const Test *tests, size_t count, int argc, char **argv) {
    const char *filter = argc > 1 ? argv[1] : "";
    for (volatile size_t i = 0; i < count; i++) { /* volatile: kept across longjmp */
        if (!strcmp(filter, "--list")) puts(tests[i].name);
        else if (strstr(tests[i].name, filter)) {
            Catch c;
            int failed_before = test_failed;
            if (!setjmp(catch_begin(&c)->jump)) {
                tests[i].run();
                catch_end(&c);
            } else CHECK(0, "%s: unexpected failure %d: %s", tests[i].name, c.code, c.text);
            if (test_failed != failed_before) printf("in: %s\n", tests[i].name);
            fflush(stdout);
        }
    }
    if (!strcmp(filter, "--list")) return 0;
    const char *name = strrchr(argv[0], '/');
    printf("%s: %d passed, %d failed\n", name ? name + 1 : argv[0], test_passed, test_failed);
    return test_failed || !test_passed;
}

#define TESTS(...) \
    int main(int argc, char **argv) { \
        static const Test tests[] = {__VA_ARGS__}; \
        return test_main(tests, sizeof tests / sizeof *tests, argc, argv); \
    }

#endif
