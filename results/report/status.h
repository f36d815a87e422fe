/* How far experiments and their runs are, from the database. */
#pragma once

#include "results/store/store.h"
#include "results/table/table.h"

/* One row per experiment: runs by state. */
bool status_experiments(table *t, store *s, err *e);
/* One row per run of an experiment, in planned order: state, step, loss, speed, reason. */
bool status_runs(table *t, store *s, const char *experiment, err *e);
/* Of more runs than rows leaves out those that say least: that are planned, then that are done,
 * then interrupted. Returns how many. */
int status_fold(table *t, int rows);
/* Why runs failed, a sentence for each of the first so many, broken within `columns`; the table
 * then has no column of it for people. */
void status_reasons(FILE *out, table *t, int most, int columns);
/* Runs of an experiment by state, and what is left to do. */
typedef struct status_totals {
    int planned;                        /* all of them */
    int done, running, failed, waiting; /* failed: or diverged; waiting: not begun or interrupted */
    double steps, steps_done; /* of runs that have not failed; of runs that never began: those of
                                 the others on average */
    double seconds_left;      /* at the speed of the running ones, side by side; NaN: unknown */
} status_totals;
bool status_total(status_totals *t, store *s, const char *experiment, err *e);
/* "7 of 9 runs done, 1 running, 1 failed; 82 % of all steps, 0:12 left" */
void status_sentence(char text[256], const status_totals *t);
json_t *status_json(const status_totals *t, const char *experiment); /* decref it */
