/* A `sweep:` expanded into variants: which paths of the spec take which values, under which label.
 *
 *   sweep:                                  or a list of such blocks, whose variants add up
 *     baseline: LABEL or {axis: value, ...}
 *     seeds: [1, 2, 3] or a count, or
 *       {until: decided, at least: 3, at most: 12, spending: obrien-fleming}
 *     grid: {PATH: [values], PATH: {name: value},                    every combination
 *            AXIS: {alternative: {PATH: value}}}
 *     zip:  {PATH: [values], ...}                                    side by side, equal lengths
 *     list: [{label: NAME, PATH: value, ...}, ...]                   one by one
 *     when: {AXIS: {axis: value or [values], ...}}                   AXIS takes part there only
 *     exclude: [{axis: value or [values]}, ...]                      what matches is left out
 *
 * grid, zip and list of one block multiply. The order is that of the file, the last axis fastest;
 * equal variants are kept once. Nothing is copied per variant but a few indexes: 100,000 take less
 * than a second, and more are an error; combinations that are excluded are none of them. */
#pragma once

#include "harness/spec/variant.h"

typedef struct sweep {
    int variant_count, seed_count;
    variant_plan *variants;
    const int64_t *seeds;
    int at_least; /* seeds are added until claims are decided: those that come first; 0: none are */
    bool pocock;  /* how their level is spent; else as O'Brien and Fleming do */
    int axis_count;
    const char **axes; /* those that vary */
    int duplicates;    /* equal variants that were dropped */
} sweep;

/* n: the sweep node, or NULL for a single variant called `name` with seed 1. Everything lives in
 * the arena. On failure NULL and the place of what is wrong. */
sweep *sweep_expand(arena *a, const node *n, const char *name, err *e);
