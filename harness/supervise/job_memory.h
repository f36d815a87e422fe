/* How many runs go at a time without the machine running out of memory.
 *
 * What a run will need is estimated from its spec, until a run of the same variant has finished:
 * then its measured peak counts, with a tenth to spare. Room is what the machine (or its container)
 * has free less what the runs that are going on have yet to take, or a limit given by the user. */
#pragma once

#include "harness/run/experiment.h"

typedef struct job_memory {
    double limit;     /* bytes for all runs together; 0: what is free */
    int threads;      /* of each run */
    double *measured; /* [variants]: highest peak of a finished run; 0: none yet */
    double claimed;   /* by the runs that are going on: what they need in all */
    double unclaimed; /* of that, what they have not taken yet */
} job_memory;

void job_memory_init(job_memory *m, arena *a, int variants, double limit, int threads);

/* A run of the variant has ended; peak: its anonymous memory, 0 if not known. */
void job_memory_learn(job_memory *m, int variant, int64_t peak_bytes);

/* Bytes of anonymous memory that a run takes by its spec. */
double job_memory_estimate(const run_plan *p, int threads);
/* Those that it will need. */
double job_memory_need(const job_memory *m, const run_plan *p);

/* Begin with nothing going on, tell of every run that is, then ask. used: its peak so far. */
void job_memory_begin(job_memory *m);
void job_memory_add(job_memory *m, double need, int64_t used_bytes);
bool job_memory_fits(const job_memory *m, double need);
