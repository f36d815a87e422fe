/* What a lane adds up over a step: loss and metrics. Over ranks each has the sums of its own lanes,
 * until they are gathered. */
#pragma once

#include "core/train/ranks.h"
#include "models/model.h"

typedef struct lane_sums {
    double nats, weight;
    int metric_count;
    metric metrics[MAX_METRICS];
} lane_sums;

void lane_sums_clear(lane_sums *s);
/* Adds a metric to the one of its name. Calls tell much the same figures in the same order: `guess`
 * is where it likely stands. */
void lane_sums_add(lane_sums *s, const metric *m, int guess);

/* Names of metrics of other ranks; they live in the arena. */
typedef struct metric_names {
    arena *memory;
    metric *list;
    int count, capacity;
} metric_names;

/* list [lanes], of which every rank has its own: loss and weight of all come to all, the metrics to
 * rank 0. */
bool lane_sums_gather(lane_sums *list, int64_t lanes, rank_group *r, metric_names *names, err *e);
