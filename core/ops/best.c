#include "core/ops/best.h"

/* Entries are only put down until `count` are there, and made a heap then, in one go: that costs
 * count steps, one by one would cost count log count. From then on the root, the worst that is
 * kept, is all that most candidates are compared with (best_offer, inline): few get as far as this
 * file. */

/* Restores the order below i, where the entry at i may be better than its children. */
static void sink(candidate *heap, int64_t n, int64_t i)
{
    for (;;) {
        int64_t least = i;
        for (int64_t child = 2 * i + 1; child <= 2 * i + 2 && child < n; child++) {
            if (best_worse(heap[child], heap[least])) least = child;
        }
        if (least == i) return;
        candidate swap = heap[i];
        heap[i] = heap[least];
        heap[least] = swap;
        i = least;
    }
}

void best_insert(candidate *heap, int64_t *n, int64_t count, candidate x)
{
    if (*n == count) {
        heap[0] = x;
        sink(heap, count, 0);
        return;
    }
    heap[(*n)++] = x;
    if (*n < count) return;
    /* From the last that has children up to the root. */
    for (int64_t i = count / 2; i >= 0; i--) {
        sink(heap, count, i);
    }
}
