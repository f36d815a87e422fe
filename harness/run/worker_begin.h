/* From a run's folder to a trainer that stands where the run does: the beginning of a worker's
 * work, the first time and after an interruption. */
#pragma once

#include "harness/run/worker_parts.h"
#include "results/store/run_damage.h"

/* The plan, and the names of the folder's files. */
bool worker_begin_plan(worker *w, err *e);

/* Removes what is damaged, so that the run is taken up where its checkpoint stands, a finished one
 * at the end, or at the beginning; then what is whole is set aside. */
bool worker_begin_mend(worker *w, run_damage damage, const char *why, err *e);

/* Of a run whose status and checkpoint are lost, without a sign that it had ended, what is there is
 * set aside. */
bool worker_begin_unknown(const worker *w, err *e);

/* Opens the workload, makes the trainer, loads the checkpoint if there is one, cuts the records to
 * where that stands and says who works on it (run.json). With ranks on all of them at once. What
 * was opened by then stays in w, of a failure as well. */
bool worker_begin(worker *w, err *e);
