/* A run's evaluations on the way and at its end, into its folder. */
#pragma once

#include "harness/evaluate/evaluate.h"
#include "harness/run/worker_parts.h"

/* Of the evaluation that worker_eval makes where training stands: what its line is known by. */
void worker_eval_id(char id[EVAL_ID_CHARS], const worker *w);

/* Whether train.eval_every asks for one where training stands. The last step's is made as the final
 * one whatever this says. */
bool worker_eval_due(const worker *w);

/* Evaluates the model as it stands and adds the line to evals.jsonl; final: with losses, slices and
 * the record of what was asked. WENT_WELL, WENT_WRONG with e, or STOPPED: it goes on from there
 * when it is asked for again. */
outcome worker_eval(worker *w, bool final, err *e);

/* Told to the log: what was kept of an evaluation is not gone on from (eval_keep.lost). */
void worker_eval_lost(void *user, const char *line);

/* Does an evaluation so many steps behind the one before tell what routed layers changed? Not so
 * soon (at a last step behind one on the way) that what cannot have moved yet would look stable;
 * not where the model learns while it is evaluated. */
bool worker_eval_traces(const workload *w, int64_t steps);
