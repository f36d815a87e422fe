/* How a run stands: status.json. */
#pragma once

#include "core/base/base.h"

typedef enum run_state {
    RUN_PLANNED,
    RUN_RUNNING,
    RUN_DONE,
    RUN_FAILED,
    RUN_DIVERGED,
    RUN_INTERRUPTED,
    RUN_STATES
} run_state;

const char *run_status_state_name(run_state s); /* "planned", "running", ... */

/* Why a run did not end well. */
typedef enum run_kind {
    KIND_NONE,
    KIND_SPEC,     /* it could not be started: spec, data, a damaged checkpoint */
    KIND_SOURCE,   /* the run that it starts from failed */
    KIND_DIVERGED, /* a number was none any more, or the end is no better than a guess */
    KIND_MEMORY,   /* the machine had no more memory for it */
    KIND_SIGNAL,   /* its process was killed, or crashed */
    KIND_TIMEOUT,  /* it took longer than it may */
    KIND_DAMAGED,  /* its files are (run_damage.h): the next worker mends them */
    KIND_OTHER,    /* while it was trained: the disk, a file that went away */
    RUN_KINDS
} run_kind;

const char *run_status_kind_name(run_kind k); /* "", "spec", ... "out of memory", ... */

typedef struct run_status {
    run_state state;
    run_kind kind;
    char reason[ERR_TEXT_BYTES]; /* "" if none */
    char gap[ERR_TEXT_BYTES];    /* what its past lacks, while it counts or goes on all the same
                                  * (DAMAGE_PAST in run_damage.h), found when it is read and never
                                  * written */
    bool ended;                  /* of a damaged run: it was trained to its end, and what is to be
                                  * mended needs no training (DAMAGE_END); never written */
    int64_t pid;
    double started_at, ended_at; /* wall clock, 0: not yet */
    int64_t step, steps, tokens;
    double train_seconds, tokens_per_second;
    double loss;                     /* nats per token, of the last logged steps; NaN: none */
    double bytes_per_token;          /* of the text that is trained on; 0: not known */
    double eval_share, eval_seconds; /* of the evaluation that is going on; 0, 0: none is */
    int64_t peak_rss_bytes, peak_anon_bytes; /* 0: not known */
} run_status;

/* A missing file is RUN_PLANNED, unless the run had ended. A run that says `running` while nobody
 * holds its lock is RUN_INTERRUPTED (it was killed), and so is one whose files are damaged, unless
 * only its past is.
 */
bool run_status_read(run_status *s, const char *folder, err *e);
/* durable: synced to the disk; otherwise only replaced atomically. Takes no memory. */
bool run_status_write(const run_status *s, const char *folder, bool durable, err *e);
/* For others than the run's worker, durable. False, and nothing is written, where another process
 * works on the run or has finished it, though its records may be damaged by now. */
bool run_status_write_free(const run_status *s, const char *folder);
