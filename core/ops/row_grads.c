#include "core/ops/row_grads.h"

#include <stdlib.h>
#include <string.h>

#include "core/ops/vec.h"

/* The gradient of a table that a step touches in a few rows is a list of rows, not a matrix of
 * zeros. A list is put behind another by copying, so sums over lanes and ranks keep the order of
 * tokens; only at the end, in the optimiser, equal rows are added up. Sorting by row has to be
 * stable for that: the order among equal rows is the order of the sum, and so its bits. */

static void *grown(void *memory, int64_t count, size_t size)
{
    memory = realloc(memory, (size_t)count * size);
    CHECK(memory, "out of memory for %lld gradients of rows", (long long)count);
    return memory;
}

/* At least doubled, so that pushing costs a constant per row in the long run. */
void row_grads_reserve(row_grads *g, int64_t count)
{
    if (count <= g->capacity) return;
    g->capacity = MAX(count, 2 * g->capacity);
    g->rows = grown(g->rows, g->capacity, sizeof *g->rows);
    g->values = grown(g->values, g->capacity * g->width, sizeof *g->values);
}

void row_grads_deinit(row_grads *g)
{
    free(g->rows);
    free(g->values);
}

/* No row is looked up here: pushing costs the copy and nothing else. */
void row_grads_push(row_grads *g, const int32_t *rows, const real *values, int64_t n)
{
    if (n == 0) return;
    row_grads_reserve(g, g->count + n);
    memcpy(g->rows + g->count, rows, (size_t)n * sizeof *rows);
    vec_copy(g->values + g->count * g->width, values, n * g->width);
    g->count += n;
}

void row_grads_append(row_grads *a, const row_grads *b)
{
    row_grads_push(a, b->rows, b->values, b->count);
}

/* ---- sums ---- */

/* Three rounds sort any rows, and their counts (16 KiB) stay in the first cache. */
enum { DIGIT_BITS = 11, DIGITS = 1 << DIGIT_BITS };

/* One round of a radix sort: stable by the digit of `shift`.
 * Counted, summed to where each digit begins, dealt out in order. `from` and `to` hold indexes of
 * entries; the wide rows of values never move. */
static void sort_by_digit(int32_t *to, const int32_t *from, const int32_t *rows, int64_t n,
                          int shift)
{
    /* begin[d + 1] counts digit d first, so that after the sums begin[d] is where digit d's entries
     * start. */
    int64_t begin[DIGITS + 1] = {0};
    for (int64_t i = 0; i < n; i++) {
        begin[(rows[i] >> shift & (DIGITS - 1)) + 1]++;
    }
    for (int d = 0; d < DIGITS; d++) {
        begin[d + 1] += begin[d];
    }
    for (int64_t i = 0; i < n; i++) {
        to[begin[rows[from[i]] >> shift & (DIGITS - 1)]++] = from[i];
    }
}

/* Entries by row; of one row in the order in which they came, so that its sum has the same bits
 * however many rows stand between them.
 * Rounds whose digit is zero for all rows are left out. */
static const int32_t *sorted(row_sums *s, const row_grads *g)
{
    if (g->count > s->capacity) {
        s->capacity = MAX(g->count, 2 * s->capacity);
        s->order = grown(s->order, s->capacity, sizeof *s->order);
        s->next = grown(s->next, s->capacity, sizeof *s->next);
    }
    int32_t most = 0;
    for (int64_t i = 0; i < g->count; i++) {
        most = MAX(most, g->rows[i]);
        s->order[i] = (int32_t)i;
    }
    for (int shift = 0; shift < 31 && most >> shift > 0; shift += DIGIT_BITS) {
        sort_by_digit(s->next, s->order, g->rows, g->count, shift);
        int32_t *swap = s->order;
        s->order = s->next;
        s->next = swap;
    }
    return s->order;
}

/* `s` keeps its memory from step to step. */
void row_sums_of(row_sums *s, const row_grads *g)
{
    CHECK(g->count <= INT32_MAX, "%lld gradients of rows", (long long)g->count);
    row_grads *sum = &s->sums;
    const int32_t *order = sorted(s, g);
    sum->width = g->width;
    sum->count = 0;
    row_grads_reserve(sum, g->count);
    for (int64_t i = 0; i < g->count; i++) {
        const real *x = g->values + order[i] * g->width;
        int32_t row = g->rows[order[i]];
        /* Sorted, equal rows follow each other; the first is copied, the others are added to it. */
        if (sum->count > 0 && sum->rows[sum->count - 1] == row) {
            vec_add(sum->values + (sum->count - 1) * g->width, x, g->width);
        } else {
            row_grads_push(sum, &row, x, 1);
        }
    }
}

void row_sums_deinit(row_sums *s)
{
    row_grads_deinit(&s->sums);
    free(s->order);
    free(s->next);
}
