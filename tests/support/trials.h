/* Tiny trainings by workers and supervisors, of a few milliseconds: see trial_specs.h. */
#pragma once

#include "harness/supervise/supervisor.h"
#include "tests/support/trial_specs.h"

/* Writes test_folder()/NAME/plan.json for that spec into path [4096]. */
void trial_folder(char *path, const char *name, const char *spec, const char *more, int64_t seed);

/* Runs `loci worker FOLDER` with LOCI_FAILPOINT (or NULL) in its environment. kill_after_ms >= 0:
 * sends it `signal` then. Returns the exit status, 128 + n if signal n ended it, -1 if there is no
 * program (the test is then skipped). */
int trial_worker(const char *folder, const char *failpoint, int kill_after_ms, int signal);

/* The same; the signal is sent once the worker has logged a step of its own. */
int trial_worker_at_work(const char *folder, int signal);

/* The same; once its status says that more than `share` of an evaluation is done. */
int trial_worker_evaluating(const char *folder, double share, int signal);

/* How the run stands; EXPECTs that it can be read. */
run_status trial_status(const char *folder);

/* supervisor_run, whose words about failed runs are expected and no part of the tests' output. */
bool trial_supervise(supervisor_result *r, const experiment *x, const supervisor_options *o,
                     err *e);

/* Compares two finished runs: parameters, moments, losses to the bit; metrics and evaluations but
 * for times. EXPECTs with `what` in front. */
void trial_same(const char *what, const char *folder_a, const char *folder_b);
