#include "results/compare/compare_best.h"

#include <math.h>
#include <stdlib.h>

/* The chosen are shown in the order of the spec, not of their rank: the eye finds them where they
 * stand in the table. Ties go by that order, too, so that the choice is the same each time. The
 * comparison is copied, its variants' runs are not: nothing of the figures is computed again, and p
 * stays corrected for all that were compared, not for those that a picture has room for. */

typedef struct rank {
    int variant;
    double mean; /* infinite: it has no result */
} rank;

static int by_mean(const void *a, const void *b)
{
    const rank *x = a, *y = b;
    if (x->mean < y->mean || x->mean > y->mean) return x->mean < y->mean ? -1 : 1;
    return x->variant - y->variant;
}

const comparison *compare_best(arena *a, const comparison *c)
{
    if (c->count <= COMPARE_BEST) return c;
    rank *list = ARENA_NEW(a, rank, c->count);
    bool *kept = arena_push_zero(a, c->count, sizeof *kept);
    int count = c->baseline >= 0;
    for (int i = 0; i < c->count; i++) {
        estimate v = c->variants[i].value[c->metric];
        list[i] = (rank){i, v.n > 0 ? v.mean : (double)INFINITY};
    }
    qsort(list, (size_t)c->count, sizeof *list, by_mean);
    if (c->baseline >= 0) kept[c->baseline] = true;
    /* Ends before the list does, as there are more variants than room. */
    for (int i = 0; count < COMPARE_BEST; i++) {
        count += !kept[list[i].variant];
        kept[list[i].variant] = true;
    }
    comparison *best = ARENA_NEW(a, comparison, 1);
    *best = *c;
    best->best_of = c->count;
    best->baseline = -1;
    best->count = 0;
    best->variants = ARENA_NEW(a, compared_variant, COMPARE_BEST);
    for (int i = 0; i < c->count; i++) {
        if (!kept[i]) continue;
        if (i == c->baseline) best->baseline = best->count;
        best->variants[best->count++] = c->variants[i];
    }
    return best;
}
