#include "core/train/schedule.h"

#include <math.h>

/* A factor is a function of the step and the length of the run, with no state: a run that is
 * resumed, or evaluated at some step, has the rate that it would have had. A run that is made
 * longer has another course from its first step on, for the courses that have an end. */

const option SCHEDULE_OPTIONS[] = {
    {"kind", OPTION_CHOICE, offsetof(schedule_options, kind), .initial = "cosine",
     .choices = "constant|linear|cosine|inverse_sqrt", .help = "course of the rate after warm-up"},
    {"warmup", OPTION_INT, offsetof(schedule_options, warmup), .initial = "0", .min = 0, .max = 1e9,
     .help = "steps over which the rate rises linearly from 0"},
    {"min", OPTION_REAL, offsetof(schedule_options, min), .initial = "0.1", .min = 0, .max = 1,
     .needs = "kind=linear|cosine|inverse_sqrt", .help = "lowest rate, as a fraction of lr"},
    {0}};

bool schedule_read(schedule_options *s, const node *n, arena *a, err *e)
{
    return options_read(s, SCHEDULE_OPTIONS, n, NULL, a, e);
}

/* With min 1 every course stays at 1: it is `constant`, whatever its name. */
void schedule_settle(schedule_options *s)
{
    if (s->min >= 1) s->kind = SCHEDULE_CONSTANT;
    /* A single step of warm-up is one at the full rate; it shortens the courses that have an end.
     */
    bool endless = s->kind == SCHEDULE_CONSTANT || s->kind == SCHEDULE_INVERSE_SQRT;
    if (endless && s->warmup == 1) s->warmup = 0;
}

double schedule_factor(const schedule_options *s, int64_t step, int64_t steps)
{
    /* The first step has 1 / warmup and not 0, which would be a step that does nothing. */
    if (step < s->warmup) return (double)(step + 1) / (double)s->warmup;
    /* Warm-up may be longer than the run: then no course follows, and nothing is divided by 0. */
    double length = (double)MAX(steps - s->warmup, 1);
    double f = MIN((double)(step - s->warmup) / length, 1);
    switch (s->kind) {
    case SCHEDULE_CONSTANT:
        return 1;
    case SCHEDULE_LINEAR:
        return 1 - (1 - s->min) * f;
    case SCHEDULE_COSINE:
        return s->min + (1 - s->min) * 0.5 * (1 + cos(3.14159265358979323846 * f));
    case SCHEDULE_INVERSE_SQRT:
        return MAX(s->min, sqrt((double)MAX(s->warmup, 1) / (double)(step + 1)));
    default:
        CHECK(false, "schedule of kind %lld", (long long)s->kind);
    }
}
