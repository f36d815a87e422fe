/* Which experiments the database has. */
#ifndef LOCI_RESULTS_EXPERIMENT_H
#define LOCI_RESULTS_EXPERIMENT_H

#include "results/store/store.h"

/* Names of the experiments, the one last recorded first; lives as long as the arena. */
bool experiment_names(store *s, arena *a, const char *const **names, int *count, err *e);
/* Fails, with the nearest name and those that there are, if there is no such experiment. */
bool experiment_check(store *s, const char *name, err *e);

#endif
