/* How many runs go at a time without the machine running out of memory.
 *
 * What a run will need is estimated from its spec, until a run of the same variant has finished:
 * then its measured peak counts, with a tenth to spare. Room is what the machine (or its container)
 * has free less what the runs that are going on have yet to take, or a limit given by the user. */
#ifndef LOCI_EXPERIMENTS_MEMORY_ROOM_H
#define LOCI_EXPERIMENTS_MEMORY_ROOM_H

#include "harness/run/plan.h"

typedef struct memory_room {
    double limit;     /* bytes for all runs together; 0: what is free */
    double *measured; /* [variants]: highest peak of a finished run; 0: none yet */
    double claimed;   /* by the runs that are going on: what they need in all */
    double unclaimed; /* of that, what they have not taken yet */
} memory_room;

void memory_room_init(memory_room *m, arena *a, int variants, double limit);

/* A run of the variant has ended; peak: its anonymous memory, 0 if not known. */
void memory_room_learn(memory_room *m, int variant, int64_t peak_bytes);

/* Bytes of anonymous memory that the run will need. */
double memory_room_need(const memory_room *m, const run_plan *p);

/* Begin with nothing going on, tell of every run that is, then ask. used: its peak so far. */
void memory_room_begin(memory_room *m);
void memory_room_add(memory_room *m, double need, int64_t used_bytes);
bool memory_room_fits(const memory_room *m, double need);

#endif
