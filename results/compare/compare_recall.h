/* Accuracy on a probe by distance, over the variants of an experiment and their seeds. */
#pragma once

#include "results/compare/compare.h"
#include "results/table/table.h"

typedef struct recall_cell {
    estimate accuracy; /* over seeds; n 0: no run was asked so far */
    double low, high;  /* of the seeds */
} recall_cell;

typedef struct recall_comparison {
    int count; /* distances; 0: the experiment is no probe */
    int64_t *distances;
    double chance;      /* of a guess; NaN: unknown, or not the same for all variants */
    recall_cell *cells; /* [variants, count] */
    recall_cell *means; /* [variants]: of a run's mean over the distances */
} recall_comparison;

/* Of the evaluations that count in c. Lives as long as the arena; NULL and e on failure. */
recall_comparison *compare_recall(arena *a, const comparison *c, store *s, err *e);

/* A row per variant, a column per distance. */
table *compare_recall_table(arena *a, const comparison *c, const recall_comparison *r);
