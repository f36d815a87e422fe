/* A run's evaluations on the way and at its end, into its folder. */
#pragma once

#include "harness/run/worker_parts.h"

/* Evaluates the model as it stands and adds the line to evals.jsonl; final: with losses, slices and
 * the record of what was asked. WENT_WELL, WENT_WRONG with e, or STOPPED: it goes on from there
 * when it is asked for again. */
outcome worker_eval(worker *w, bool final, err *e);
