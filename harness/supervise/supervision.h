/* What a supervisor is asked for, and what it answers. */
#pragma once

#include <stdio.h>

#include "harness/run/experiment.h"
#include "harness/run/run_status.h"

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
    int max_failures;  /* after so many failed or diverged runs no more are started, and those
                          that are going on save and stop; 0: never */
    double timeout;    /* seconds a run may take here, then it is stopped and has failed; 0: any */
    bool leave_busy;   /* what another process works on is left to it, not waited for */
    bool shares;       /* one of several tasks of a sweep: it ends once nothing can be begun and
                          others, who live, have the rest */
    bool quiet;        /* no progress */
    rank_group *ranks; /* train each run together, in this process; NULL: in one of its own */
} supervisor_options;

typedef struct supervisor_result {
    int done;      /* trained to the end here */
    int skipped;   /* were finished before */
    int evaluated; /* the same, but given the final evaluation that the spec asks for now */
    int mended;    /* the same, and records that were damaged were written anew */
    int failed;    /* failed or diverged, here or before; of these */
    int diverged;
    int stayed; /* are as they were: evaluating or mending a finished run failed */
    int interrupted;
    int busy;     /* left to another process */
    int most;     /* runs that went on at a time */
    bool gave_up; /* max_failures was reached */
    bool moved;   /* something was trained or evaluated here, and is kept */
    bool shared;  /* ended as a task that leaves the rest to others: `busy` is no interruption */
    int gaps;     /* runs whose past is damaged (run_status.gap), */
    err gap;      /* and what is wrong with the first */
    err broken;   /* why the sweep cannot go on here at all; empty text: it can */
} supervisor_result;

/* Counts the run's gap, if it has one; and says what was counted, in one line. */
void supervision_gap(supervisor_result *r, const run_plan *run, const run_status *status);
void supervision_gaps_say(FILE *print, const supervisor_result *r);

/* Whether a run that ended so is started again. */
bool supervision_retries(const supervisor_options *o, run_state state);

/* How many of `count` runs go on at a time, if memory allows it; at least one. */
int supervision_jobs(const supervisor_options *o, int count);

/* The exit status that the result stands for. */
int supervision_exit(const supervisor_result *r);
