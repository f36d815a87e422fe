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

static void mark(bool *a_has, const bool *b_has, int64_t pieces)
{
    for (int64_t i = 0; i < pieces; i++) {
        a_has[i] |= b_has[i];
    }
}

void grads_mark(const params *p, bool *a_has, const bool *b_has)
{
    mark(a_has, b_has, p->pieces);
}

/* ---- parts ---- */

int64_t grads_dense(const param *p, bool rows)
{
    return p->frozen || (rows && p->row_grads >= 0) ? 0 : p->count;
}

/* Whole parameters, so that a piece's mark is that of all of it: half a piece that is added cannot
 * be marked. Cut from the back, as they are finished; what is left over stays with part 0. */
grads_parts grads_parts_of(const params *p, bool rows, int64_t least)
{
    grads_parts parts = {.count = 1};
    int64_t total = 0, size = 0;
    for (int i = 0; i < p->count; i++) {
        total += grads_dense(&p->list[i], rows);
    }
    /* No more parts than there is room for. */
    least = MAX(least, (total + GRADS_PARTS - 1) / GRADS_PARTS);
    int cuts[GRADS_PARTS], n = 0;
    for (int i = p->count - 1; i > 0; i--) {
        size += grads_dense(&p->list[i], rows);
        total -= grads_dense(&p->list[i], rows);
        if (size < least || total < least || n == GRADS_PARTS - 1) continue;
        cuts[n++] = i;
        size = 0;
    }
    for (int i = n; i > 0; i--) {
        parts.first[parts.count++] = cuts[i - 1];
    }
    parts.first[parts.count] = p->count;
    return parts;
}

void grads_add_part(const params *p, const grads_parts *parts, int part, grads *a, const grads *b)
{
    int first = parts->first[part], end = parts->first[part + 1];
    /* Rows go with part 0, the last that is finished: all lanes' rows are there then. */
    for (int i = 0; part == 0 && a->rows && i < p->row_tables; i++) {
        row_grads_append(&a->rows[i], &b->rows[i]);
    }
    if (first == end) return;
    bool last = end == p->count;
    int64_t from = p->list[first].offset, to = last ? p->total : p->list[end].offset;
    int64_t piece = p->list[first].first_piece;
    int64_t pieces = (last ? p->pieces : p->list[end].first_piece) - piece;
    grads_add(p, a->values + from, a->has, b->values + from, b->has, from, to);
    mark(a->has + piece, b->has + piece, pieces);
}
