#include "harness/run/run_amount.h"

#include <math.h>

#include "harness/evaluate/eval_calls.h"
#include "harness/evaluate/evaluate.h"

/* For --dry-run, which says what a sweep will cost before it begins: tokens here, seconds by the
 * caller from what was measured (or not). It counts what will be read by the same rules as training
 * and evaluation do, so that it cannot promise what they do not keep. */

/* Of one evaluation; 0 where the corpus has no such split. */
static double evaluated_once(const workload *w)
{
    const corpus_split *s = corpus_get(w->corpus, eval_options_split(&w->eval));
    return s ? (double)eval_calls_tokens(s, w->eval.tokens, w->eval.most, NULL) : 0;
}

/* A budget in seconds has no steps yet: of it the last evaluation counts alone. */
run_amount run_amount_of(const workload *w, double train_flops)
{
    const budget *b = &w->train.budget;
    double once = evaluated_once(w);
    if (b->kind == BUDGET_SECONDS) return (run_amount){b->amount, (double)NAN, once, once};
    train_length l = train_options_length(b, &w->shape, train_flops);
    double tokens = l.tokens ? (double)l.tokens : (double)l.steps * w->shape.targets_per_step;
    /* The last step's is the final evaluation, which is made in any case: steps - 1. */
    int64_t every = w->train.eval_every, on_the_way = every > 0 ? MAX(l.steps - 1, 0) / every : 0;
    return (run_amount){(double)NAN, tokens, once * (double)(1 + on_the_way), once};
}
