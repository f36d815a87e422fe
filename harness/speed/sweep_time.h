/* How long a sweep will take on this machine.
 *
 * Speeds are those of runs that were made here, with as many threads, of the same variant; those of
 * others by their FLOPs; or, if it is asked for, measured for a moment. Evaluations are counted by
 * their tokens. What a variant's diagnosis and generation take beside is not. */
#pragma once

#include "harness/run/experiment.h"
#include "harness/run/run_status.h"

typedef enum time_source {
    TIME_UNKNOWN,
    TIME_NONE,    /* nothing of it is left */
    TIME_SCALED,  /* by what a FLOP takes in other runs */
    TIME_RECORDED /* by the speed of the same variant, in a run or measured */
} time_source;

/* What is left of a run. */
typedef struct run_time {
    time_source source;
    double train, eval; /* seconds */
} run_time;

typedef struct sweep_time_options {
    const char *out;
    const corpus_places *places;
    int threads;      /* of a run */
    double calibrate; /* seconds of training of each variant of which a speed is needed and not
                         known; 0: none is measured */
} sweep_time_options;

/* times [x->run_count]; left: whether a run is to be made at all. x is resolved. False and e if the
 * results cannot be read. */
bool sweep_time_estimate(run_time *times, const bool *left, experiment *x,
                         const sweep_time_options *o, err *e);

/* All of them, so many at a time: no less than the longest. *known: of how many that are left it is
 * known. */
double sweep_time_total(const run_time *times, int count, int jobs, int *known);
