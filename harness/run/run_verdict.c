#include "harness/run/run_verdict.h"

#include <math.h>

#include "harness/train/blowup.h"

run_training run_verdict_training(const train_progress *p)
{
    return (run_training){p->first_loss, train_progress_last_loss(p)};
}

void run_verdict_note(json_t *line, run_training t)
{
    if (t.first == 0 && t.last == 0) return;
    json_object_set_new(
        line, "training",
        json_pack("{s:o, s:o}", "first", json_finite(t.first), "last", json_finite(t.last)));
}

run_training run_verdict_noted(const json_t *line)
{
    const json_t *t = json_object_get(line, "training");
    if (!t) return (run_training){0};
    return (run_training){json_get_double(t, "first"), json_get_double(t, "last")};
}

double run_verdict_evaluated(const json_t *line)
{
    return json_get_double(line, "nats") / json_get_double(line, "tokens");
}

bool run_verdict_blown_up(const workload *w, const train_progress *at, run_training t,
                          double evaluated, err *e)
{
    char text[BLOWUP_TEXT_BYTES];
    const blowup_facts facts = {.vocab = model_vocab(w->model),
                                .first = t.first,
                                .last = t.last,
                                .evaluated = evaluated,
                                .step_targets = w->shape.targets_per_step,
                                .further = blowup_further(w->corpus, eval_options_split(&w->eval)),
                                .learns = w->eval.dynamic.kind != DYNAMIC_NONE};
    if ((at->tokens == 0 && isfinite(evaluated)) || !blowup_find(text, &facts)) return false;
    err_set(e, "step %lld: %s", (long long)at->step, text);
    return true;
}
