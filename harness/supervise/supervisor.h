/* Runs an experiment: one exec'd worker process per run, so many at a time.
 *
 * Finished runs are skipped, interrupted ones continued, failed ones left alone unless a retry is
 * asked for; one failure never stops the rest. A run that starts from another one waits for it, and
 * fails with it. Several supervisors of one sweep share its work: a run that another process works
 * on is waited for, and taken over if that process is killed. SIGINT, SIGTERM or SIGHUP stops the
 * workers, which save first; a second one at once, unless it follows within two seconds. Never
 * calls BLAS. */
#pragma once

#include "harness/supervise/supervision.h"

/* x is resolved. Writes the experiment's record and the plans, runs what is to be run, and prints
 * progress to stderr. False if nothing could be started at all, or if it may not go on: the mount
 * does not lock across machines. Stopped by a signal, it leaves these signals blocked: the caller
 * ends, and nothing but its exit status says how. */
bool supervisor_run(supervisor_result *r, const experiment *x, const supervisor_options *o, err *e);
