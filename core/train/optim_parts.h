/* What an optimiser holds: for optim_state.c, which makes and saves it, and optim_step.c. */
#pragma once

#include "core/train/adafactor.h"
#include "core/train/optim.h"

/* Elements of a range: what one thread takes at a time, and what one partial sum of the norm
 * covers. Part of the numerics: another value gives other bits.
 * 32 KiB of floats: long enough that taking a range costs nothing beside it, short enough that
 * threads finish together. */
enum { RANGE = 8192 };

/* A part of one piece of one parameter. */
typedef struct range {
    const param *p;
    int64_t piece; /* over all parameters */
    int64_t begin; /* in the flat vectors */
    int64_t count;
    int64_t state; /* adafactor: where the piece's second moments begin */
} range;

struct optim {
    optim_options o;
    const params *p;
    void *memory; /* holds m and v */
    size_t memory_bytes;
    real *m, *v; /* [total], or NULL; adafactor: v [v_count] */
    int64_t v_count;
    unsigned char *touched; /* [pieces]: has had a gradient in some step */
    int64_t steps;
    range *ranges, *wholes; /* pieces cut into ranges; adafactor: whole pieces */
    int64_t range_count, whole_count;
    double *sums;   /* [range_count] */
    row_sums *rows; /* [row_tables]: of the step's gradients, each row once */
};
