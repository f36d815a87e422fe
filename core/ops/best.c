#include "core/ops/best.h"

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
    for (int64_t i = count / 2; i >= 0; i--) {
        sink(heap, count, i);
    }
}
