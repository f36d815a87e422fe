#include "harness/inspect/triggers.h"

#include <float.h>
#include <stdlib.h>

/* Per memory a heap of the `top` best, the least at its root. What is offered is compared with the
 * bar, which is the root's coefficient once the heap is full and the smallest positive number
 * before: a prefix below it is turned away by one comparison, and nearly all are, for after n
 * prefixes the chance of a new one to be among the best `top` is top / n. The bars of neighbouring
 * memories lie side by side, so that 16 coefficients meet their bars in a few instructions
 * (any_of_16).
 *
 * Kept is a set, not a sequence: the best of all offered under a total order (coefficient, then
 * earlier token). So neither the order of offering nor the threads' shares change it. That holds
 * for one prefix per sentence, too: of each sentence the best counts, and what was pushed out was
 * below `top` sentences' bests, which only rise.
 *
 * A coefficient that is equal to the bar passes (>=), since it may belong to an earlier token; NaN
 * passes no comparison and is never kept. */

/* count x top entries, reserved at once: the pass itself takes no memory. The bar begins at the
 * smallest positive normal number, below which nothing fires (only positive coefficients
 * count). */
void triggers_init(triggers *t, int64_t count, int64_t top, bool per_sentence, arena *a)
{
    *t = (triggers){.count = count, .top = top, .per_sentence = per_sentence};
    /* The list is not cleared: sizes say how much of each heap there is. */
    t->list = ARENA_NEW(a, trigger, count * top);
    t->sizes = arena_push_zero(a, count, sizeof *t->sizes);
    t->bar = ARENA_NEW(a, real, count);
    for (int64_t i = 0; i < count; i++) {
        t->bar[i] = REAL_IS_DOUBLE ? (real)DBL_MIN : (real)FLT_MIN; /* only positive ones count */
    }
}

static bool trigger_is_less(const trigger *a, const trigger *b)
{
    /* Of equals the earlier prefix counts: who is kept may not depend on which thread came
     * first. */
    if (a->coefficient < b->coefficient) return true;
    if (a->coefficient > b->coefficient) return false;
    return a->token > b->token;
}

static void swap(trigger *a, trigger *b)
{
    trigger t = *a;
    *a = *b;
    *b = t;
}

static void sift_down(trigger *heap, int64_t size, int64_t i)
{
    for (;;) {
        int64_t least = i, left = 2 * i + 1;
        if (left < size && trigger_is_less(&heap[left], &heap[least])) least = left;
        if (left + 1 < size && trigger_is_less(&heap[left + 1], &heap[least])) least = left + 1;
        if (least == i) return;
        swap(&heap[i], &heap[least]);
        i = least;
    }
}

static void sift_up(trigger *heap, int64_t i)
{
    for (; i > 0 && trigger_is_less(&heap[i], &heap[(i - 1) / 2]); i = (i - 1) / 2) {
        swap(&heap[i], &heap[(i - 1) / 2]);
    }
}

/* Position in the heap of the sentence's prefix, or -1. By looking through the heap, which is
 * ordered by coefficients and not by sentences: `top` is some tens, and few offers come this far.
 */
static int64_t find_sentence(const trigger *heap, int64_t size, int64_t sentence)
{
    for (int64_t i = 0; i < size; i++) {
        if (heap[i].sentence == sentence) return i;
    }
    return -1;
}

/* A heap is `top` entries long from list + memory x top on. Where the sentence is there already the
 * size stays; else it grows to `top`, and from then on the least goes. */
static void sink_trigger(triggers *t, int64_t memory, trigger x)
{
    trigger *heap = t->list + memory * t->top;
    int64_t size = t->sizes[memory];
    int64_t same = t->per_sentence ? find_sentence(heap, size, x.sentence) : -1;
    /* A heap with the least at its root, which is the bar for the next. Of a sentence one prefix
     * stands in it: a better one takes its place and can only sink. */
    if (same >= 0) {
        if (trigger_is_less(&x, &heap[same])) return;
        heap[same] = x;
        sift_down(heap, size, same);
    } else if (size < t->top) {
        heap[size] = x;
        t->sizes[memory]++;
        sift_up(heap, size);
    } else {
        if (!trigger_is_less(&heap[0], &x)) return;
        heap[0] = x;
        sift_down(heap, size, 0);
    }
    if (t->sizes[memory] == t->top) t->bar[memory] = heap[0].coefficient;
}

/* Whether any of 16 coefficients reaches its bar: nearly never, once the lists are full. No early
 * exit, so that it is two vector comparisons rather than 16 branches. */
static bool any_of_16(const real *restrict x, const real *restrict bar)
{
    int any = 0;
#pragma omp simd reduction(| : any)
    for (int i = 0; i < 16; i++) {
        any |= x[i] >= bar[i];
    }
    return any;
}

static void put_at(triggers *t, int64_t memory, real coefficient, trigger at)
{
    at.coefficient = coefficient;
    sink_trigger(t, memory, at);
}

/* Coefficients x [n] of memories first .. first + n - 1. The bar may rise while a run is offered,
 * but only that of the memory which is offered. */
static void offer_run(triggers *t, const real *x, int64_t n, int64_t first, trigger prefix)
{
    const real *bar = t->bar + first;
    for (int64_t at = 0; at < n; at += 16) {
        int64_t end = MIN(n, at + 16);
        if (end - at == 16 && !any_of_16(x + at, bar + at)) continue;
        for (int64_t i = at; i < end; i++) {
            if (x[i] >= bar[i]) put_at(t, first + i, x[i], prefix);
        }
    }
}

/* Two forms: a run of consecutive memories, as dense layers fire, is compared sixteen at a time;
 * memories by id, as layers that choose a few, one by one. */
void triggers_offer(triggers *t, const real *coefficients, int64_t n, int64_t first,
                    const int32_t *ids, trigger at)
{
    if (!ids) {
        CHECK(first >= 0 && first + n <= t->count, "memories %lld to %lld of %lld",
              (long long)first, (long long)(first + n), (long long)t->count);
        offer_run(t, coefficients, n, first, at);
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        CHECK(ids[i] >= 0 && ids[i] < t->count, "memory %d of %lld", ids[i], (long long)t->count);
        if (coefficients[i] >= t->bar[ids[i]]) put_at(t, ids[i], coefficients[i], at);
    }
}

/* Lists are of equal `top`; entries come with their coefficients, and go the way of any other
 * offer. */
void triggers_merge(triggers *t, const triggers *from)
{
    CHECK(t->count == from->count, "%lld memories into %lld", (long long)from->count,
          (long long)t->count);
    for (int64_t m = 0; m < t->count; m++) {
        for (int32_t i = 0; i < from->sizes[m]; i++) {
            trigger x = from->list[m * from->top + i];
            if (x.coefficient >= t->bar[m]) sink_trigger(t, m, x);
        }
    }
}

static int order(const void *a, const void *b)
{
    return trigger_is_less(b, a) ? -1 : trigger_is_less(a, b) ? 1 : 0;
}

/* The order of the heap becomes the decreasing one: from here on entry 0 is the strongest trigger.
 */
void triggers_finish(triggers *t)
{
    for (int64_t m = 0; m < t->count; m++) {
        qsort(t->list + m * t->top, (size_t)t->sizes[m], sizeof *t->list, order);
    }
}

const trigger *triggers_of(const triggers *t, int64_t i)
{
    return t->list + i * t->top;
}
