#include "tests/support/evaluated.h"

#include "tests/support/trial_specs.h"
#include "tests/test.h"

/* Losses in float carry 2^-24 relative rounding per operation, sgemm sums 32 terms in another order
 * for other shapes: 1e-5 of a nat per token; f64: 1e-12. */
double evaluated_tolerance(void)
{
    return REAL_IS_DOUBLE ? 1e-12 : 1e-5;
}

eval_task evaluated_task(const trainer *t, const eval_options *o)
{
    return (eval_task){.model = t->w->eval_model,
                       .values = t->values,
                       .corpus = t->w->corpus,
                       .options = o,
                       .threads = 1};
}

evaluation evaluated(const eval_task *task)
{
    evaluation r = {0};
    err e = {0};
    EXPECT(evaluate(&r, task, &e), "%s", e.text);
    return r;
}

evaluation evaluated_with(trainer *t, const eval_options *o, int threads, int64_t parts,
                          const char *path)
{
    eval_task task = evaluated_task(t, o);
    task.threads = threads;
    task.lanes = parts;
    task.losses_path = path;
    return evaluated(&task);
}

trainer *evaluated_trained(workload *w, const char *more)
{
    err e = {0};
    train_report r;
    if (!trial_open(w, TRIAL_SPEC, more, 9)) return NULL;
    trainer *t = trainer_new(w, 1, (train_length){.steps = 5}, &e);
    EXPECT(t, "%s", e.text);
    for (int i = 0; t && i < 5; i++) {
        EXPECT(trainer_step(t, &r, &e), "%s", e.text);
    }
    return t;
}

void evaluated_end(trainer *t)
{
    workload *w = t->w;
    trainer_free(t);
    workload_close(w);
}
