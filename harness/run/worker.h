/* One run in its folder, from its plan to its final evaluation: what `loci worker FOLDER` does.
 *
 * Locks the folder, continues from the checkpoint if there is one (cutting records off that are
 * younger), trains, logs, evaluates, saves. SIGINT and SIGTERM finish the step, save a checkpoint
 * and leave the run `interrupted`; the supervisor's death sends SIGTERM, so that a worker never
 * outlives it for longer than a step. The records of an interrupted and continued run are those of
 * an uninterrupted one, times aside. */
#pragma once

#include "harness/run/exit_status.h"
#include "harness/run/worker_company.h"

/* Returns the exit status: EXIT_DONE, EXIT_FAILED (failed or diverged: status.json says why, and
 * e), EXIT_INTERRUPTED or EXIT_BUSY. Installs signal handlers. */
int worker_run(const char *folder, err *e);
int worker_run_with(const char *folder, const worker_company *company, err *e);
