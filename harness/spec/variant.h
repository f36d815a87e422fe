/* A variant of a sweep: what it is called, and what it puts in the place of what the spec says. */
#pragma once

#include "core/options/node.h"

typedef struct axis_value {
    const char *axis;  /* "memory", "optimizer.lr" */
    const char *value; /* "long", "1e-3" */
} axis_value;

/* One value for one path; `value` stands where the sweep wrote it. */
typedef struct assignment {
    const char *path;
    node *value;
    bool in_place; /* path is a layer of a block, value the layers that stand in its place */
    int axis;      /* in the variant's `axes`: whose value this is */
} assignment;

typedef struct variant_plan {
    const char *label; /* unique in the sweep; only what varies: "long", "lr=1e-3 memory=long" */
    bool is_baseline;  /* exactly one is: the named one, else the first */
    int axis_count, assignment_count;
    const axis_value *axes;
    const assignment *assignments; /* in the order in which they are applied */
} variant_plan;

/* A copy of `spec` (without its sweep) with the variant's assignments made. NULL and e where one
 * leads nowhere, or undoes another one. */
node *variant_apply(arena *a, const node *spec, const variant_plan *v, err *e);
