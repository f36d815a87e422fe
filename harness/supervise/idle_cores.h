/* Cores that will have nothing to do: of a run that has fewer lanes than threads, or of a sweep
 * that has fewer runs than cores. A lane is one thread's work at a time (core/train/lanes.h). */
#pragma once

#include <stdio.h>

#include "harness/supervise/supervision.h"

/* The share of their time that ranks x threads are busy, as far as lanes decide it. */
double idle_cores_busy(int64_t count, int ranks, int threads);
/* The least number of lanes, of at least these, that keeps all of them busy; 0: there is none
 * (threads that are no power of two, over ranks). */
int64_t idle_cores_lanes(int64_t count, int ranks, int threads);

/* Says so of the runs that are left, and what would use the cores: more threads, a larger batch.
 * Nothing where all are used. */
void idle_cores_say(FILE *out, const experiment *x, const bool *left, const supervisor_options *o,
                    int cores);
