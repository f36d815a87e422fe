/* A model that was trained for five steps, and its evaluation: what suites about evaluations begin
 * with. */
#pragma once

#include "harness/evaluate/evaluate.h"
#include "harness/train/trainer.h"

/* TRIAL_SPEC and `more` (or NULL); free the trainer and close the workload. NULL fails the case. */
trainer *evaluated_trained(workload *w, const char *more);

/* With losses at path (or NULL); evaluate_deinit it. */
evaluation evaluated_with(trainer *t, const eval_options *o, int threads, int64_t parts,
                          const char *path);
