/* A supervisor at work: its jobs, and how the end of one is counted and told. */
#pragma once

#include <signal.h>

#include "core/base/file.h"
#include "core/base/json.h"
#include "harness/run/run_status.h"
#include "harness/supervise/holder_watch.h"
#include "harness/supervise/job_memory.h"
#include "harness/supervise/progress.h"
#include "harness/supervise/supervision.h"

typedef enum job_state { JOB_QUEUED, JOB_RUNNING, JOB_ENDED } job_state;

/* One run that is to be trained here. */
typedef struct job {
    const run_plan *plan;
    char folder[FILE_PATH_BYTES];
    pid_t pid;           /* while it runs */
    double begun;        /* monotonic */
    int64_t step_before; /* where it stood when it was last looked at before it began here */
    double ended_before; /* wall clock: when it had ended badly, before a retry; 0: never */
    bool timed_out;
    const char *damage; /* of its files, which the worker mends; NULL: none */
    double part;        /* of it that is done, as far as known here (progress_fraction) */
    bool evaluates;     /* it is done but for another final evaluation */
    bool mends;         /* it is done but for damaged records */
    holder_watch holder;
    double busy_until; /* monotonic: before that, a busy run is not looked at again */
    job_state state;
} job;

/* Runs that could not be begun when the queue was last looked through. */
struct queue_left {
    int held;    /* others work on them, and live */
    int doubted; /* whether their holder lives is not known yet */
    int waiting; /* for the run that they start from */
};

typedef struct supervisor {
    const experiment *x;
    const supervisor_options *o;
    supervisor_result *result;
    arena *memory;
    job *queue;
    int queued, next; /* queue[0..next) were started or have ended */
    job **jobs;       /* by index in x->runs; NULL: nothing to do for that run */
    job **running;
    int slots, active;
    progress_job *shown; /* [slots] */
    FILE *talk;          /* stderr as it was, for the progress; NULL if quiet */
    progress *progress;  /* NULL if quiet */
    int ended, bad;      /* of the queue */
    progress_sweep all;  /* the whole sweep: what is queued, and what had ended before */
    int64_t kills;       /* for want of memory (cgroup_oom_kills), before this */
    int stops;           /* how often the workers were told to stop */
    bool stop_asked;     /* by a signal */
    double stop_heard;   /* monotonic: the first of them */
    job_memory room;
    bool limited; /* room is looked at: the number of jobs was not given */
    bool others;  /* others train runs of the experiment that this spec has not */
    struct queue_left left;
    int waiter; /* descriptor of the lock of who waits for sources; -1: none */
    bool said_full, said_waiting;
    char said_why[ERR_TEXT_BYTES]; /* of the last one that failed, */
    int alike;                     /* and how many more did so, which is still to be said */
    json_t *beginnings;            /* finished runs that longer ones go on from; NULL: none */
    sigset_t signals;
} supervisor;

/* Unless it is quiet. */
void supervisor_jobs_say(supervisor *s, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Who works on a run that is not worked on here: "process 17 on n2", or "another process" where the
 * folder does not say (a moment after its lock was taken). */
void supervisor_jobs_holder(char text[RUN_HOLDER_BYTES], const job *j);

/* The job has ended so: it is counted and told. */
void supervisor_jobs_end(supervisor *s, job *j, const run_status *status);

/* The job has failed before it began, and its run's status says so. */
void supervisor_jobs_fail(supervisor *s, job *j, run_kind kind, const err *why);

/* How many runs failed with the words that were said last; nothing if none did. */
void supervisor_jobs_say_alike(supervisor *s);

/* The results lie where locks do not reach across machines: says so and stops everything. */
void supervisor_jobs_unlocked(supervisor *s, const job *j);

/* Passes a signal on: asked once, workers save and stop; asked again, they are killed. */
void supervisor_jobs_stop(supervisor *s);
