#include "tests/support/evaluated.h"

#include "tests/support/trials.h"
#include "tests/test.h"

evaluation evaluated_with(trainer *t, const eval_options *o, int threads, int64_t parts,
                          const char *path)
{
    workload *w = t->w;
    eval_task task = {.model = w->eval_model,
                      .values = t->values,
                      .corpus = w->corpus,
                      .options = o,
                      .threads = threads,
                      .lanes = parts,
                      .losses_path = path};
    evaluation r = {0};
    err e = {0};
    EXPECT(evaluate(&r, &task, &e), "%s", e.text);
    return r;
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
