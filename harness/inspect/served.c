#include "harness/inspect/served.h"

/* The list is found by `most` walks over the counts, each for the largest that comes after the last
 * one found, in the order (count, then id): no copy of the counts, no sort of the vocabulary for a
 * dozen tokens. */

int served_tokens(int32_t *list, int most, const int64_t *served, int64_t vocab, int64_t *total)
{
    /* last and last_id: the one found before; what comes after it has fewer occurrences, or as many
     * and a larger id. */
    int n = 0;
    int64_t last = INT64_MAX, last_id = -1;
    *total = 0;
    for (int64_t i = 0; i < vocab; i++) {
        *total += served[i];
    }
    while (n < most) {
        int64_t best = -1;
        for (int64_t i = 0; i < vocab; i++) {
            bool later = served[i] < last || (served[i] == last && i > last_id);
            if (later && served[i] > 0 && (best < 0 || served[i] > served[best])) best = i;
        }
        if (best < 0) return n;
        last = served[best];
        last_id = best;
        list[n++] = (int32_t)best;
    }
    return n;
}
