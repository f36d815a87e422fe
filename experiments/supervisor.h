/* Runs an experiment: one exec'd worker process per run, so many at a time.
 *
 * Finished runs are skipped, interrupted ones continued, failed ones left alone unless a retry is
 * asked for; one failure never stops the rest. A run that starts from another one waits for it, and
 * fails with it. A run that another process is working on is left to
 * it. SIGINT or SIGTERM (or a second time: at once) stops the workers, which save first. Never
 * calls BLAS. */
#ifndef LOCI_EXPERIMENTS_SUPERVISOR_H
#define LOCI_EXPERIMENTS_SUPERVISOR_H

#include "experiments/plan.h"

typedef struct supervisor_options {
    const char *out;             /* root of results: runs/, experiments/ */
    const corpus_places *places; /* where workers look for corpora */
    const char *command;         /* the command line, for the record */
    const char *program;         /* NULL: this program (/proc/self/exe) */
    int jobs;                    /* 0: cores / threads */
    int threads;                 /* of each run, at least 1 */
    bool retry;                  /* failed and diverged runs are started again */
    bool quiet;                  /* no progress */
} supervisor_options;

typedef struct supervisor_result {
    int done;    /* trained to the end here */
    int skipped; /* were finished before */
    int failed;  /* failed or diverged, here or before */
    int interrupted;
    int busy; /* another process works on them */
} supervisor_result;

/* x is resolved. Writes the experiment's record and the plans, runs what is to be run, and prints
 * progress to stderr. False only if nothing could be started at all. */
bool supervisor_run(supervisor_result *r, const experiment *x, const supervisor_options *o, err *e);

/* The exit status that the result stands for. */
int supervisor_exit(const supervisor_result *r);

#endif
