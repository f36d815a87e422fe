#include "core/ops/dropout.h"

#include <math.h>

/* Element index + i has word (index + i) mod 4 of counter (index + i) / 4, wherever a part of the
 * mask begins: the first counter of a part may be used from its middle. */

void dropout_mask(real *mask, int64_t n, double rate, rng_key key, uint64_t index)
{
    /* Kept iff word >= rate * 2^32, rounded: the probability is exact to 2^-32. */
    uint64_t bound = (uint64_t)llround(rate * 4294967296.0);
    real kept = (real)(1 / (1 - rate));
    for (int64_t i = 0; i < n;) {
        uint32_t words[4];
        rng_words(words, key, (index + (uint64_t)i) / 4);
        for (uint64_t w = (index + (uint64_t)i) % 4; w < 4 && i < n; w++, i++) {
            mask[i] = words[w] < bound ? 0 : kept;
        }
    }
}
