/* The learning rate over the steps of a run, as a factor of the optimiser's lr.
 *
 *   step < warmup:  (step + 1) / warmup
 *   after it, with f = (step - warmup) / (steps - warmup), held at 1 from step = steps on:
 *     constant      1
 *     linear        1 - (1 - min) f
 *     cosine        min + (1 - min) (1 + cos(pi f)) / 2
 *     inverse_sqrt  max(min, sqrt(max(warmup, 1) / (step + 1)))
 */
#pragma once

#include "core/options/option.h"

enum { SCHEDULE_CONSTANT, SCHEDULE_LINEAR, SCHEDULE_COSINE, SCHEDULE_INVERSE_SQRT };

typedef struct schedule_options {
    int64_t kind;
    int64_t warmup; /* steps */
    double min;     /* fraction of lr */
} schedule_options;

extern const option SCHEDULE_OPTIONS[];

/* Reads the spec's `schedule:` node (NULL: defaults); a key without effect on the kind is an error.
 */
bool schedule_read(schedule_options *s, const node *n, arena *a, err *e);
/* For identities: the same course in one spelling. */
void schedule_settle(schedule_options *s);

/* step from 0; steps = length of the run. */
double schedule_factor(const schedule_options *s, int64_t step, int64_t steps);
