/* How far a run is, and what is left of a sweep that was continued. */
#include <math.h>

#include "harness/supervise/progress.h"
#include "tests/test.h"

static void parts_of_runs(void)
{
    const run_status half = {.step = 50, .steps = 100, .train_seconds = 10};
    const run_status trained = {.step = 100, .steps = 100, .train_seconds = 20};
    const run_status evaluating = {
        .step = 100, .steps = 100, .train_seconds = 20, .eval_share = 0.25, .eval_seconds = 20};
    EXPECT(progress_fraction(&(run_status){0}) == 0, "planned");
    EXPECT(progress_fraction(&half) == 0.5, "%g", progress_fraction(&half));
    /* It has not ended: its evaluation comes. */
    EXPECT(progress_fraction(&trained) < 1, "%g", progress_fraction(&trained));
    /* 20 s of training and 20 of the 80 s that evaluating takes. */
    EXPECT(fabs(progress_fraction(&evaluating) - 0.4) < 1e-12, "%g",
           progress_fraction(&evaluating));
}

/* Only what this sitting did tells how fast it goes. */
static void time_left(void)
{
    const progress_sweep fresh = {.runs = 10, .work = 2};
    const progress_sweep resumed = {.runs = 10, .work = 9, .before = 8};
    EXPECT(progress_left(60, &fresh) == 240, "%g", progress_left(60, &fresh));
    EXPECT(progress_left(60, &resumed) == 60, "%g", progress_left(60, &resumed));
    EXPECT(isnan(progress_left(60, &(progress_sweep){.runs = 10, .work = 8, .before = 8})),
           "nothing was done yet");
}

extern const test_suite test_progress;
const test_suite test_progress = {
    "harness/progress", {{"parts_of_runs", parts_of_runs}, {"time_left", time_left}, {0}}};
