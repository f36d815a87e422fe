/* The random mask of dropout, for the ops that contain one. */
#ifndef LOCI_CORE_DROPOUT_H
#define LOCI_CORE_DROPOUT_H

#include "core/base/rng.h"

/* mask[i] = 0 with probability `rate`, else 1 / (1 - rate), for i in [0, n): a pure function of
 * (key, index + i), so that any part of a mask can be drawn again. 0 <= rate < 1. */
void dropout_mask(real *mask, int64_t n, double rate, rng_key key, uint64_t index);

#endif
