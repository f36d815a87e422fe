/* What a comparison says of one variant, in words. */
#pragma once

#include "results/compare/compare.h"

/* In one sentence or two: "'long' is better than 'short' by 0.039 +- 0.005 bits per byte (...)".
 * Cut where labels are very long; "" for the baseline, and where there is none. */
enum { COMPARE_VERDICT_BYTES = 1400 };
void compare_verdict(char text[COMPARE_VERDICT_BYTES], const comparison *c, int variant);
