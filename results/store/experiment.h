/* Which experiments the database has. */
#pragma once

#include "results/store/store.h"

/* Whether an experiment can be called so: a name becomes those of files, and is printed. */
bool experiment_name_is_good(const char *name, err *e);

/* Names of the experiments, the one last recorded first; lives as long as the arena. */
bool experiment_names(store *s, arena *a, const char *const **names, int *count, err *e);
/* Fails, also on a name that none can have, with the nearest name and those that there are, if
 * there is no such experiment. */
bool experiment_check(store *s, const char *name, err *e);
