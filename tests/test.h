/* The tests' own small framework. A file tests/<room>/test_<name>.c exports one suite:
 *
 *     static void adds(void) { EXPECT(1 + 1 == 2, "got %d", 1 + 1); }
 *     const test_suite test_<name> = {"core/<name>", {{"adds", adds}, {0}}};
 *
 * The Makefile collects the suites. `build/<kind>/test [FILTER...]` runs the cases whose
 * "suite/case" or "suite/case/sub" contains a filter, so that a layer's name runs everything about
 * it; a filter that no case's name contains fails. The last line is `N passed, N failed, N
 * skipped`.
 */
#pragma once

#include "core/base/base.h"

enum { MAX_CASES = 128 };

/* A name that ends in '/': all that the case does is in sub-cases (test_sub), and it is cheap where
 * none of them is chosen. */
typedef struct test_case {
    const char *name;
    void (*run)(void);
} test_case;

/* {0} ends the cases, or in a suite that waits for others most of its time this: it then runs
 * beside those that have the processors. */
#define SUITE_WAITS                                                                                \
    {                                                                                              \
        NULL, test_suite_waits                                                                     \
    }
void test_suite_waits(void);

typedef struct test_suite {
    const char *name;
    test_case cases[MAX_CASES];
} test_suite;

/* Fails the running case (once per message; it goes on) with file, line and values. */
#define EXPECT(condition, ...)                                                                     \
    ((condition) ? (void)0 : test_fail(__FILE__, __LINE__, #condition, __VA_ARGS__))

void test_fail(const char *file, int line, const char *expression, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Marks the running case as skipped, with the reason. */
void test_skip(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Opens a sub-case inside a case named ".../" that loops over a table
 * ("conformance/attention/causality"): it is counted as a case of its own, ends the previous
 * sub-case, and obeys the filters: false means skip its body. */
bool test_sub(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A fresh empty folder for the running case, removed when it ends without failure. */
const char *test_folder(void);
/* A path in it, valid until the eighth call after. */
const char *test_inside(const char *name);

/* Programs are looked for in `folder` first, until the case ends or it is called with NULL: a case
 * leaves the PATH as it was, or those behind it would miss programs. */
void test_path(const char *folder);

/* Absolute path of the program under test: LOCI_PROGRAM of the environment (the Makefile sets it),
 * else ./loci. NULL, and the case is skipped, if there is none. */
const char *test_program(void);

/* Whether all of this is emulated (tools/aarch64.sh says so, by LOCI_TEST_EMULATED), ten and more
 * times slower: what is waited for takes as much longer, some seconds of training are fewer steps.
 */
bool test_emulated(void);

/* |got - expected| <= atol + rtol * rms(expected) for all n; EXPECTs with the worst element. */
void expect_close(const char *what, const real *got, const real *expected, int64_t n, double rtol,
                  double atol);
