/* Where a probe asks, near more often than far: places drawn by a power law (Arora et al. 2023,
 * arXiv:2312.04927, app. E). */
#pragma once

#include "core/base/arena.h"
#include "core/base/rng.h"

/* gaps [n]: different ones of 0..space-1 in the order in which they are drawn, each time with
 * chances in proportion to (gap + 1)^(power - 1); n <= space. */
void power_gaps(int64_t *gaps, int64_t n, int64_t space, double power, rng_key key, arena *scratch);
