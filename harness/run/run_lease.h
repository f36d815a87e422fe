/* Who works on a run, across machines: a line in the folder's lock file, renewed while its lock is
 * held.
 *
 *   HOST PID JOB BEAT MARK     JOB is the batch job's number or "-", BEAT counts renewals from 1,
 *                              MARK is MACHINE-LEASE: of its system, and of this lease alone
 *
 * Names of hosts and numbers of processes may be the same on two machines (copies of one virtual
 * machine, containers); MARK is not. Earlier programs leave it out.
 *
 * On one machine the lock alone decides. Across machines a mount may not hand locks on (NFS with
 * `nolock`, some parallel file systems): then two workers have "the" lock, and without more both
 * would write checkpoints, metrics and evaluations into one folder. So a worker renews its line
 * every RUN_LEASE_BEAT_S seconds, and writes nothing into the folder unless its lease holds: its
 * line still stands in the file, and the last renewal is younger than half of RUN_LEASE_S. Readers
 * compare beats over their own clock; clocks of two machines are never compared.
 *
 * A lock that can be had while its holder's line goes on beating is the sign of such a mount:
 * see supervise/holder_watch.h. */
#pragma once

#include "core/base/base.h"

#define RUN_LEASE_BEAT_S 10.0
#define RUN_LEASE_S      60.0

/* What the line says. */
enum { RUN_MARK_MACHINE = 8, RUN_MARK_BYTES = 20 };
typedef struct run_holder {
    char host[64], job[32];    /* "" : nobody; "": no batch job */
    char mark[RUN_MARK_BYTES]; /* "": not said */
    int64_t pid, beat;
} run_holder;

/* False if nobody is named. */
bool run_lease_holder(run_holder *h, const char *folder);
/* The same lease: host, pid, job and mark. */
bool run_lease_same(const run_holder *a, const run_holder *b);
/* Whether it was on this machine. */
bool run_lease_here(const run_holder *h);
/* "process 17", "process 17 on n2", "process 17 on n2, job 40_3". */
enum { RUN_HOLDER_BYTES = 160 };
void run_lease_text(char text[RUN_HOLDER_BYTES], const run_holder *h);

typedef struct run_lease run_lease;

/* Writes the line through the lock's descriptor (run_folder_lock) and goes on renewing it from a
 * thread. NULL and e if it cannot be written. */
run_lease *run_lease_begin(int lock, const char *folder, err *e);

/* To be asked before anything is written into the folder. Renews a lease that is too old (the
 * process was stopped for a while). False and e if the folder is somebody else's now, or the lock
 * file cannot be written: then nothing may be written any more. */
bool run_lease_holds(run_lease *l, err *e);

/* Renews it now, whatever its age. */
bool run_lease_renew(run_lease *l, err *e);

/* Takes the line away, unless the lease is lost. NULL is allowed. The lock stays the caller's. */
void run_lease_end(run_lease *l);
