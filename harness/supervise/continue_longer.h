/* More budget without training again what is there.
 *
 * Under a schedule that does not look at the length (constant, inverse_sqrt) a run of a smaller
 * budget is the beginning of one of a larger: the same bits. Where such a run is finished and still
 * has its training state (gc has not been), the longer one goes on from it. */
#pragma once

#include "core/base/json.h"
#include "harness/run/experiment.h"

/* Whether the run may have a beginning among others. */
bool continue_longer_possible(const run_plan *p);

/* Are two resolved specs the same but for the amount of their budgets, whatever their schedule, and
 * by how much is that of b larger? */
bool continue_longer_by(double *more, const json_t *a, const json_t *b);

/* The finished runs of OUT that are beginnings of something, by what they are but for the budget.
 * Decref it. */
json_t *continue_longer_beginnings(const char *out);

/* The id of the longest of them that is a beginning of this run, or NULL: there is none, or the
 * run's folder has a checkpoint of its own, which one that a version before put there is not. Lives
 * as long as `all`. */
const char *continue_longer_find(const json_t *all, const run_plan *p, const char *out,
                                 const char *folder);

/* Copies what the run has begun with into its folder, with the models kept on the way, unless that
 * has a checkpoint; the folder is locked by the caller. */
bool continue_longer_begin(const char *folder, const run_plan *p, const char *out,
                           const char *beginning, err *e);
