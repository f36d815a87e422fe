#include "data/power_gaps.h"

#include <math.h>
#include <stdlib.h>

/* Which of `space` places are asked at, near ones more often: place i has the weight i^(power - 1),
 * so power 1 is anywhere alike and small powers crowd at the beginning. Sorting all places is as
 * much work as the document is long, and exact; drawing until n different ones have come would take
 * for ever where few have nearly all the weight. */

typedef struct arrival {
    double at;
    int64_t gap;
} arrival;

static int by_time(const void *x, const void *y)
{
    const arrival *a = x, *b = y;
    /* Of equal times the smaller gap first, so that the order is one on every machine. */
    if (a->at != b->at) return a->at < b->at ? -1 : 1;
    return a->gap < b->gap ? -1 : a->gap > b->gap;
}

/* Drawing without putting back is a race: each gap arrives after a time of exponential distribution
 * whose rate is its weight, and the first n are taken (Efraimidis & Spirakis 2006). */
void power_gaps(int64_t *gaps, int64_t n, int64_t space, double power, rng_key key, arena *scratch)
{
    CHECK(n <= space, "%lld gaps of %lld", (long long)n, (long long)space);
    arena_mark mark = arena_now(scratch);
    arrival *list = ARENA_NEW(scratch, arrival, space);
    for (int64_t i = 0; i < space; i++) {
        double weight = pow((double)(i + 1), power - 1);
        /* -log(1 - u), exact for small u; the weight of gap i is (i + 1)^(power - 1). */
        list[i] = (arrival){-log1p(-rng_uniform(key, (uint64_t)i)) / weight, i};
    }
    qsort(list, (size_t)space, sizeof *list, by_time);
    for (int64_t i = 0; i < n; i++) {
        gaps[i] = list[i].gap;
    }
    arena_rewind(scratch, mark);
}
