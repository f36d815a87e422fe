/* A finished run whose spec asks for another final evaluation than it has: evaluated anew, not
 * trained anew.
 *
 * The evaluation's options are no part of what a run is. Earlier evaluations stay in evals.jsonl;
 * the last line that says `final` is the one that counts, and says whether the run is `done` or has
 * `diverged`. Its state stays all the while: killed on the way, it is as it was. */
#pragma once

#include <signal.h>

#include "harness/run/experiment.h"
#include "harness/run/run_lease.h"
#include "harness/run/run_verdict.h"

/* Whether the final evaluation of the run in the folder, which was trained to its end, had other
 * options than `plan`, or than its plan.json, or lacks what is to be told beside its loss by these
 * (`losses`, `cleared`). False of one that was not. */
bool evaluate_again_wanted(const char *folder, const run_plan *plan);
bool evaluate_again_planned(const char *folder);

/* Makes the final evaluation that the folder's plan asks for, unless it is there; the folder is
 * the caller's (`lease`). The exit status: EXIT_DONE, EXIT_FAILED with e, EXIT_INTERRUPTED, or
 * EXIT_BUSY with e where the lease was lost. training: how it went, where nothing has been judged
 * yet, as the run's first final evaluation was lost; NULL: that is behind it. */
int evaluate_again(const char *folder, run_lease *lease, const run_training *training,
                   const volatile sig_atomic_t *stop, err *e);
