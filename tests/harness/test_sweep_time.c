/* How long a sweep will take: what a run reads, and runs side by side. */
#include <math.h>

#include "harness/run/run_amount.h"
#include "harness/speed/sweep_time.h"
#include "tests/support/trial_specs.h"
#include "tests/test.h"

static run_amount amount_of(const char *more)
{
    workload w;
    if (!trial_open(&w, TRIAL_SPEC, more, 1)) return (run_amount){0};
    run_amount a = run_amount_of(&w, model_costs(w.model).train_flops);
    double step = w.shape.targets_per_step;
    workload_close(&w);
    a.tokens /= step; /* in steps */
    return a;
}

static void amounts(void)
{
    run_amount a = amount_of("train: {budget: {steps: 10}, batch: 4, eval_every: 3}\n"
                             "eval: {tokens: 100}\n");
    /* After 3, 6 and 9 steps, and at the end. */
    EXPECT(fabs(a.tokens - 10) < 1e-9 && a.eval_tokens == 400 && isnan(a.seconds), "%g, %g, %g",
           a.tokens, a.eval_tokens, a.seconds);
    a = amount_of("train: {budget: {seconds: 7}, batch: 4}\neval: {tokens: 100}\n");
    EXPECT(a.seconds == 7 && isnan(a.tokens) && a.eval_tokens == 100, "%g, %g, %g", a.seconds,
           a.tokens, a.eval_tokens);
}

static void side_by_side(void)
{
    const run_time times[] = {{TIME_RECORDED, 10, 2},
                              {TIME_NONE, 0, 0},
                              {TIME_SCALED, 6, 0},
                              {TIME_RECORDED, 6, 0},
                              {TIME_UNKNOWN, 9, 9}};
    int known;
    EXPECT(sweep_time_total(times, 5, 1, &known) == 24 && known == 3, "%d", known);
    EXPECT(sweep_time_total(times, 5, 2, &known) == 12, "%g",
           sweep_time_total(times, 5, 2, &known));
    EXPECT(sweep_time_total(times, 5, 9, &known) == 12, "no less than the longest");
}

extern const test_suite test_sweep_time;
const test_suite test_sweep_time = {"harness/sweep_time",
                                    {{"amounts", amounts}, {"side_by_side", side_by_side}, {0}}};
