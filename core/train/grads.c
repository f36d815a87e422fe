#include "core/train/grads.h"

#include <string.h>

/* The flat vector is walked by pieces, since the marks are theirs; within a piece it is a plain
 * loop over memory, limited by its speed. Elements are added one to one, so any cut of [begin, end)
 * into ranges (threads, ranks) gives the same bits. An element is one rounded sum of two, never
 * three: that is what the tree's bits consist of. */

static void add_values(real *restrict x, const real *restrict y, int64_t count)
{
#pragma omp simd
    for (int64_t i = 0; i < count; i++) {
        x[i] += y[i];
    }
}

/* An expert without tokens in both halves costs nothing to add.
 * What a alone has is there already. What b alone has is copied and not added to zeros: x + 0 would
 * turn -0 into 0, and a's memory holds what an earlier step left, maybe NaN. */
void grads_add(const params *p, real *a, const bool *a_has, const real *b, const bool *b_has,
               int64_t begin, int64_t end)
{
    for (int i = 0; i < p->count; i++) {
        const param *q = &p->list[i];
        if (q->offset >= end || q->offset + q->count <= begin) continue;
        int64_t size = q->count / q->pieces;
        for (int64_t k = 0; k < q->pieces; k++) {
            /* A range may begin and end inside of a piece. */
            int64_t from = MAX(q->offset + k * size, begin),
                    to = MIN(q->offset + (k + 1) * size, end);
            if (from >= to || !b_has[q->first_piece + k]) continue;
            if (a_has[q->first_piece + k]) {
                add_values(a + (from - begin), b + (from - begin), to - from);
            } else {
                memcpy(a + (from - begin), b + (from - begin), (size_t)(to - from) * sizeof *a);
            }
        }
    }
}

void grads_mark(const params *p, bool *a_has, const bool *b_has)
{
    for (int64_t i = 0; i < p->pieces; i++) {
        a_has[i] |= b_has[i];
    }
}
