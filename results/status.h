/* How far experiments and their runs are, from the database. */
#ifndef LOCI_RESULTS_STATUS_H
#define LOCI_RESULTS_STATUS_H

#include "results/store.h"
#include "results/table.h"

/* One row per experiment: runs by state. */
bool status_experiments(table *t, store *s, err *e);
/* One row per run of an experiment, in planned order: state, step, loss, speed, reason. */
bool status_runs(table *t, store *s, const char *experiment, err *e);
/* Planned runs that are not finished, and those that failed or diverged. */
bool status_count(store *s, const char *experiment, int *unfinished, int *failed, err *e);

#endif
