/* Multiplies the blocks of a sweep out: combinations in order, without the excluded and the equal.
 */
#pragma once

#include "harness/spec/sweep_axis.h"

/* One combination: the alternatives that a variant takes, in the order of the axes. */
typedef struct combo {
    int count;
    const alternative **alternatives;
} combo;

typedef struct sweep_combos {
    combo *items;
    int count, duplicates;
} sweep_combos;

/* Multiplies the blocks out. */
bool sweep_combine(arena *a, sweep_source *source, sweep_combos *out, err *e);
