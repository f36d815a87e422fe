/* The best few of many: a heap whose root is the worst of those kept. */
#pragma once

#include "core/base/base.h"

typedef struct candidate {
    real score;
    int64_t position;
} candidate;

/* Ties go to the later position. */
static inline bool best_worse(candidate x, candidate y)
{
    return x.score < y.score || (x.score == y.score && x.position < y.position);
}

/* Behind best_offer. */
void best_insert(candidate *heap, int64_t *n, int64_t count, candidate x);

/* Keeps x if it is among the `count` best so far; *n of them are kept (0 at first). The heap is in
 * order once *n is `count`. */
static inline void best_offer(candidate *heap, int64_t *n, int64_t count, candidate x)
{
    if (*n == count && !best_worse(heap[0], x)) return;
    best_insert(heap, n, count, x);
}
