/* The random mask of dropout, for the ops that contain one. */
#pragma once

#include "core/base/rng.h"

/* mask[i] = 0 with probability `rate`, else 1 / (1 - rate), for i in [0, n): a pure function of
 * (key, index + i), so that any part of a mask can be drawn again. 0 <= rate < 1. */
void dropout_mask(real *mask, int64_t n, double rate, rng_key key, uint64_t index);
