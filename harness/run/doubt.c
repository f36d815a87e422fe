#include "harness/run/doubt.h"

/* A doubt is no error: somebody may want just that (a test of the warm-up itself). What cannot be
 * meant at all is refused where options are read. It is said once per variant, before hours are
 * spent, and the run goes ahead. */

static const char *sentence(arena *a, const node *at, const char *text)
{
    err e;
    if (!at) return arena_strdup(a, text);
    node_err(&e, at, "%s", text);
    return arena_strdup(a, e.text);
}

const char *doubt_of(arena *a, const workload *w)
{
    if (w->train.budget.kind == BUDGET_SECONDS || w->schedule.warmup == 0) return NULL;
    double flops = model_costs(w->model).train_flops;
    int64_t steps = train_options_length(&w->train.budget, &w->shape, flops).steps;
    /* Integer halves: a run of three steps with a warm-up of one is left in peace. */
    if (steps == 0 || w->schedule.warmup <= steps / 2) return NULL;
    char text[256];
    snprintf(text, sizeof text,
             "the run has %s%lld steps, %s; shorten the warm-up, or lengthen the run",
             w->train.budget.kind == BUDGET_STEPS ? "" : "about ", (long long)steps,
             w->schedule.warmup >= steps ? "so that it ends before the warm-up does"
                                         : "most of which are warm-up");
    return sentence(a, node_at(w->spec, "schedule.warmup"), text);
}
