/* Which experiments the database has. */
#pragma once

#include "core/base/json.h"
#include "results/store/store.h"

/* Whether an experiment can be called so: a name becomes those of files, and is printed. */
bool experiment_name_is_good(const char *name, err *e);

/* Whether a record's runs may stand in one table: a label is one variant, and a seed of it one run.
 * known: an object, what was seen before; these are added. False and e: those of two experiments
 * that were called alike, whose figures would be averaged. */
bool experiment_runs_agree(json_t *known, const json_t *runs, err *e);

/* Names of the experiments, the one last recorded first; lives as long as the arena. */
bool experiment_names(store *s, arena *a, const char *const **names, int *count, err *e);
/* Fails, also on a name that none can have, with the nearest name and those that there are, if
 * there is no such experiment. */
bool experiment_check(store *s, const char *name, err *e);
