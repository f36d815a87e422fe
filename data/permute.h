/* A random permutation of 0..n-1 that is computed point by point and stores nothing: a Feistel
 * network (Luby & Rackoff 1988, doi 10.1137/0217022) over the next power of 4, walked until the
 * result is below n again (Black & Rogaway 2002, doi 10.1007/3-540-45760-7_9). */
#ifndef LOCI_DATA_PERMUTE_H
#define LOCI_DATA_PERMUTE_H

#include "core/base/rng.h"

/* Where i in [0, n) goes; different keys give different permutations. Below a microsecond. */
int64_t permute(int64_t i, int64_t n, rng_key key);

#endif
