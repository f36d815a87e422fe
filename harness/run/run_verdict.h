/* Whether a run that was trained to its end is worth something (harness/train/blowup.h). Its worker
 * asks, who evaluates it again, and who writes its lost status anew: all say the same words of the
 * same figures. */
#pragma once

#include "core/base/json.h"
#include "harness/train/trainer.h"

/* How training went, in nats per token: its first step, and its last ones. 0: not known, which says
 * nothing against the run. */
typedef struct run_training {
    double first, last;
} run_training;

run_training run_verdict_training(const train_progress *p);
/* As `training` in the line of a final evaluation, so that it outlives status and checkpoint. */
void run_verdict_note(json_t *line, run_training t);
/* What the line says; 0, 0: nothing, as that of one who has evaluated the model for other options:
 * training has been judged then. */
run_training run_verdict_noted(const json_t *line);

/* Nats per token of an evaluation's line; NaN: no number. */
double run_verdict_evaluated(const json_t *line);

/* True, and e, if it is worth nothing. Of a model that was not trained it is only asked that its
 * evaluation is a number. */
bool run_verdict_blown_up(const workload *w, const train_progress *at, run_training t,
                          double evaluated, err *e);
