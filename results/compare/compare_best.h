/* Of many variants those that a page or a picture has room for. */
#pragma once

#include "results/compare/compare.h"

enum { COMPARE_BEST = 24 };

/* The baseline and those variants that are best by their mean, in their order, COMPARE_BEST in all;
 * `best_of` says of how many. c itself if it has no more. Lives as long as the arena and c. */
const comparison *compare_best(arena *a, const comparison *c);
