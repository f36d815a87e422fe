/* Reads the blocks of a sweep: grid, zip, list, when, exclude, seeds, baseline. */
#pragma once

#include "harness/spec/sweep_axis.h"

/* Reads the sweep node. Everything lives in the arena. NULL and the place of what is wrong. */
sweep_source *sweep_read(arena *a, const node *n, err *e);
