/* A model that was trained for five steps, and its evaluation: what suites about evaluations begin
 * with. */
#pragma once

#include "harness/evaluate/evaluate.h"
#include "harness/train/trainer.h"

/* TRIAL_SPEC and `more` (or NULL), in w; evaluated_end it. NULL fails the case. */
trainer *evaluated_trained(workload *w, const char *more);

/* Frees it and closes its workload. */
void evaluated_end(trainer *t);

/* Of its model, as it stands; one thread. */
eval_task evaluated_task(const trainer *t, const eval_options *o);

/* evaluate_deinit it. */
evaluation evaluated(const eval_task *task);

/* By how much sums in float may differ, in nats per token. */
double evaluated_tolerance(void);

/* With losses at path (or NULL); evaluate_deinit it. */
evaluation evaluated_with(trainer *t, const eval_options *o, int threads, int64_t parts,
                          const char *path);
