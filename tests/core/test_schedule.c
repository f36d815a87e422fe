#include "core/train/schedule.h"

#include "tests/test.h"

#include <math.h>
#include <string.h>

static void near(const char *what, double got, double expected)
{
    /* A handful of roundings of numbers of size 1. */
    EXPECT(fabs(got - expected) < 1e-14, "%s: %.17g is not %.17g", what, got, expected);
}

static void warmup(void)
{
    for (int64_t kind = SCHEDULE_CONSTANT; kind <= SCHEDULE_INVERSE_SQRT; kind++) {
        schedule_options s = {.kind = kind, .warmup = 4, .min = 0.1};
        near("first", schedule_factor(&s, 0, 100), 0.25);
        near("last", schedule_factor(&s, 3, 100), 1);
        EXPECT(schedule_factor(&s, 4, 100) <= 1, "step 4");
        s.warmup = 200; /* longer than the run */
        near("long", schedule_factor(&s, 99, 100), 0.5);
        s.warmup = 0;
        near("none", schedule_factor(&s, 0, 100), 1);
        near("no steps", schedule_factor(&s, 0, 0), 1);
    }
}

static void courses(void)
{
    schedule_options s = {.kind = SCHEDULE_LINEAR, .warmup = 20, .min = 0.2};
    near("linear, half", schedule_factor(&s, 70, 120), 0.6);
    near("linear, end", schedule_factor(&s, 120, 120), 0.2);
    near("linear, later", schedule_factor(&s, 500, 120), 0.2);
    s.kind = SCHEDULE_COSINE;
    near("cosine, quarter", schedule_factor(&s, 45, 120), 0.2 + 0.4 * (1 + sqrt(0.5)));
    near("cosine, half", schedule_factor(&s, 70, 120), 0.6);
    near("cosine, later", schedule_factor(&s, 500, 120), 0.2);
    s.kind = SCHEDULE_INVERSE_SQRT;
    near("inverse, joins", schedule_factor(&s, 19, 120), 1);
    near("inverse, 4 x", schedule_factor(&s, 79, 120), 0.5);
    near("inverse, floor", schedule_factor(&s, 100000, 120), 0.2);
    s.kind = SCHEDULE_CONSTANT;
    near("constant", schedule_factor(&s, 100000, 120), 1);
}

static bool reads(const char *text, schedule_options *s, err *e)
{
    arena *a = arena_new(0);
    node *n = node_parse(a, text, strlen(text), "x.yaml", e);
    bool ok = n && schedule_read(s, n, a, e);
    arena_free(a);
    return ok;
}

static void options(void)
{
    schedule_options s;
    err e = {0};
    EXPECT(schedule_read(&s, NULL, NULL, &e) && s.kind == SCHEDULE_COSINE && s.warmup == 0, "%s",
           e.text);
    EXPECT(reads("{kind: inverse_sqrt, warmup: 1k, min: 0}", &s, &e) && s.warmup == 1000, "%s",
           e.text);
    EXPECT(s.kind == SCHEDULE_INVERSE_SQRT && s.min <= 0, "%lld", (long long)s.kind);
    EXPECT(reads("{kind: constant, warmup: 3}", &s, &e), "%s", e.text);
    EXPECT(!reads("{kind: constant, min: 0.5}", &s, &e) && strstr(e.text, "x.yaml:1:23") &&
               strstr(e.text, "no effect"),
           "%s", e.text);
    EXPECT(!reads("{kind: cosin}", &s, &e) && strstr(e.text, "cosine"), "%s", e.text);
}

const test_suite test_schedule = {
    "core/schedule", {{"warmup", warmup}, {"courses", courses}, {"options", options}, {0}}};
