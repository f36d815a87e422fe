/* Which evaluation of each run a comparison is of: one protocol for all of them, or a difference
 * would be that of the protocols.
 *
 * Variants may differ in context, data and precision, so a protocol is known by what it has
 * otherwise than the run's own final evaluation: "rows 8", "dynamic {...}", nothing. Evaluations
 * count at the end of a run's training alone. Without a word it is the runs' own where all runs
 * have it; else one without another learning or precision, that most have; else any that most have.
 */
#pragma once

#include "results/compare/compare.h"

typedef struct evaluation_request {
    const char *experiment;
    const char *split; /* NULL: that of each run's final evaluation */
    const char
        *protocol; /* "own", or a part of what one protocol is told by; NULL: none is asked */
    /* Of a comparison that has chosen among variants: the labels whose runs decide. */
    const char *const *labels;
    int label_count; /* 0: all */
} evaluation_request;

/* Fills protocols and protocol_count of c. The evaluations' ids, at most one of a run, as a list in
 * JSON in the arena. NULL and e: none or several are told so; e has those that there are. */
const char *evaluation_choice(comparison *c, arena *a, store *s, const evaluation_request *r,
                              err *e);
