/* Runs an experiment: one exec'd worker process per run, so many at a time.
 *
 * Finished runs are skipped, interrupted ones continued, failed ones left alone unless a retry is
 * asked for; one failure never stops the rest. A run that starts from another one waits for it, and
 * fails with it. Several supervisors of one sweep share its work: a run that another process works
 * on is waited for, and taken over if that process is killed. SIGINT or SIGTERM (or a second time:
 * at once) stops the workers, which save first. Never calls BLAS. */
#ifndef LOCI_HARNESS_SUPERVISOR_H
#define LOCI_HARNESS_SUPERVISOR_H

#include "harness/run/experiment.h"

/* Which runs that ended badly are started again. */
typedef enum retry_kind { RETRY_NONE, RETRY_FAILED, RETRY_DIVERGED, RETRY_ALL } retry_kind;
#define RETRY_KINDS "none|failed|diverged|all"

typedef struct supervisor_options {
    const char *out;             /* root of results: runs/, experiments/ */
    const corpus_places *places; /* where workers look for corpora */
    const char *command;         /* the command line, for the record */
    const char *program;         /* NULL: this program (/proc/self/exe) */
    int jobs;                    /* 0: cores / threads, as far as memory allows */
    int threads;                 /* of each run, at least 1 */
    int64_t memory;              /* bytes for all runs together; 0: what is free */
    retry_kind retry;
    int max_failures; /* after so many failed or diverged runs no more are started, and those
                         that are going on save and stop; 0: never */
    double timeout;   /* seconds a run may take here, then it is stopped and has failed; 0: any */
    bool leave_busy;  /* what another process works on is left to it, not waited for */
    bool quiet;       /* no progress */
} supervisor_options;

typedef struct supervisor_result {
    int done;      /* trained to the end here */
    int skipped;   /* were finished before */
    int evaluated; /* the same, but given the final evaluation that the spec asks for now */
    int failed;    /* failed or diverged, here or before */
    int interrupted;
    int busy;     /* left to another process */
    int most;     /* runs that went on at a time */
    bool gave_up; /* max_failures was reached */
} supervisor_result;

/* x is resolved. Writes the experiment's record and the plans, runs what is to be run, and prints
 * progress to stderr. False only if nothing could be started at all. */
bool supervisor_run(supervisor_result *r, const experiment *x, const supervisor_options *o, err *e);

/* The exit status that the result stands for. */
int supervisor_exit(const supervisor_result *r);

#endif
