/* The golden vectors that are kept with the tests: tests/vectors. */
#include "tests/reference/reference.h"
#include "tests/test.h"

static bool begin(void *user, const char *system, const char *name)
{
    (void)user;
    return test_sub("%s/%s", system, name);
}

static void end(void *user, const char *system, const char *name, reference_outcome outcome,
                const char *why)
{
    (void)user;
    if (outcome == REFERENCE_SKIP) test_skip("%s", why);
    EXPECT(outcome != REFERENCE_FAIL, "%s/%s: %s", system, name, why);
}

static void vectors(void)
{
    err e = {0};
    bool ran = reference_run("tests/vectors", &(reference_listener){begin, end, NULL}, &e);
    EXPECT(ran, "%s", e.text);
}

const test_suite test_reference = {"tools/reference", {{"vectors/", vectors}, {0}}};
