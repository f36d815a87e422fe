/* Axes of a sweep and its blocks as written, before they are multiplied out.
 *
 * A block is a product of dimensions. A dimension is a list of picks, of which a variant takes one;
 * a pick is one alternative on each of one or more axes: grid gives a dimension per axis, zip one
 * dimension for all of its axes, list one dimension whose picks are its items. */
#pragma once

#include "harness/spec/variant.h"

enum {
    SWEEP_MAX_AXES = 4096,
    SWEEP_MAX_DIMENSIONS = 64,
    SWEEP_MAX_VARIANTS = 1000000,
    SWEEP_MAX_KEPT = 100000
};

typedef struct sweep_axis {
    const char *name;
    bool is_path;   /* its name is a path of the spec, its values are values there */
    bool bare;      /* values name themselves in labels: "wide", not "variant=wide" */
    const node *at; /* where it was first written */
} sweep_axis;

typedef struct alternative {
    int axis;          /* index in sweep_axes */
    const char *text;  /* "long", "1e-3" */
    const node *value; /* of a path; NULL for a named alternative */
    int count;
    assignment *sets;
    int *ids; /* [count]: equal for equal assignments (path and value) */
} alternative;

typedef struct pick {
    int count;
    alternative *alternatives;
} pick;

/* when[d] tells for each pick of an earlier dimension whether this one takes part; NULL: it does
 * whatever is taken there. */
typedef struct dimension {
    int count;
    pick *picks;
    bool **when; /* NULL: always */
} dimension;

/* `exclude: [{axis: value}]`: hits[d] tells for each pick of dimension d whether it satisfies what
 * is said about it; NULL: nothing is. */
typedef struct exclusion {
    const node *at;
    bool **hits;
    int64_t excluded; /* how many combinations it has taken out */
} exclusion;

typedef struct sweep_block {
    const node *at;
    int dimension_count, exclusion_count;
    dimension *dimensions;
    exclusion *exclusions;
} sweep_block;

typedef struct sweep_source {
    int block_count, axis_count, axis_capacity;
    sweep_block *blocks;
    sweep_axis *axes;
    const node *baseline; /* NULL: the first variant */
    int seed_count;
    int64_t *seeds;
    int at_least; /* see sweep.h */
    bool pocock;
} sweep_source;

/* The axis that `name` means: its whole name, or the end of a path if that is clear ("lr" for
 * "optimizer.lr"); -1 if none. */
int sweep_axis_find(const sweep_source *s, const char *name);

/* Whether an axis is called so: by its name, or by the end of the path that it is. */
bool sweep_axis_is(const char *axis, const char *name);

/* Whether a value as written in `exclude` or `baseline` means this alternative. */
bool sweep_axis_matches(const alternative *x, const node *value);

/* Whether two labels say the same: word by word, numbers by their value ("lr=0.002", "lr=2e-3"). */
bool sweep_axis_same_text(const char *x, const char *y);
