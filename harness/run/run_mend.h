/* A run that was trained to its end, and of which records are damaged (DAMAGE_END): what they said
 * is written anew, and nothing is trained. One that its final evaluation said to have diverged
 * stays so.
 *
 *   run.json      from the plan and the text; what only the lost one knew is null
 *   status.json   from the final evaluation, or the model, and the last line of metrics, if that is
 *                 of the end; else its seconds and its loss are null
 *   evals.jsonl   the final evaluation, by the model that stands there, if its line is lost
 *   final.json    with that line
 *   speed.json    removed: to be measured again
 *
 * What was damaged of the first two stays beside, as NAME.damaged. Each is replaced atomically, and
 * found damaged until it is: killed anywhere, the next worker goes on. plan.json has been written
 * by who starts it. */
#pragma once

#include <signal.h>

#include "core/base/base.h"
#include "harness/run/run_lease.h"

/* why: what is damaged, for the log. The exit status of the worker. */
int run_mend(const char *folder, run_lease *lease, const volatile sig_atomic_t *stop,
             const char *why, err *e);
