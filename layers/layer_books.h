/* What whoever runs layers keeps for them during a segment: the other side of the functions in
 * layer.h. Layers themselves do not look in here. */
#pragma once

#include "core/ops/blas.h"
#include "core/ops/tape.h"
#include "core/train/params.h"
#include "layers/slot_ring.h"

/* A figure for the metrics log: added up over calls and lanes as sum and weight; the logged value
 * is sum / weight. */
typedef struct metric {
    const char *layer, *name;
    double sum, weight;
} metric;

enum { MAX_METRICS = 4096, MAX_AUX = 256 };

typedef struct layer_books {
    const params *params;
    const real *values;  /* [params.total] */
    const grads *grads;  /* NULL: nothing is recorded */
    tensor **leaves;     /* by piece; NULL until used in this segment */
    blas_kept *kept;     /* by piece: of values that many segments read as they are; NULL: none */
    tensor **state;      /* by slot: [rows, length, width] or NULL while nothing is carried */
    tensor **next_state; /* by slot: what layer_state_set stored */
    real **stores;       /* by slot: memory of the stores, else NULL */
    slot_ring *rings;    /* by slot: of those that layer_state_append is for */
    tensor *aux[MAX_AUX];
    int aux_count;
    metric metrics[MAX_METRICS];
    int metric_count;
} layer_books;
