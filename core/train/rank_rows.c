#include "core/train/rank_rows.h"

#include <stdlib.h>
#include <string.h>

/* Two rounds: how many rows each rank has of each table, then the rows themselves, straight to
 * where they lie in the whole. How many there are differs from step to step, so that they cannot
 * set out in parts of a fixed plan, as other gradients do (rank_sum.c). */

struct rank_rows {
    rank_group *ranks;
    int64_t tables;
    int count, me;
    row_grads *all;      /* [tables]: where they are gathered */
    int64_t *counts;     /* [count + 1, tables]; the last: this rank's */
    rank_part *out, *in; /* [2 count]: of each rank, numbers and values */
};

static void *list(size_t count, size_t size)
{
    void *p = calloc(MAX(count, (size_t)1), size);
    CHECK(p, "out of memory for rows over ranks (%zu x %zu bytes)", count, size);
    return p;
}

rank_rows *rank_rows_new(rank_group *r, const params *p)
{
    rank_rows *x = list(1, sizeof *x);
    size_t tables = (size_t)p->row_tables, count = (size_t)ranks_count(r);
    *x = (rank_rows){.ranks = r, .tables = p->row_tables, .count = (int)count, .me = ranks_me(r)};
    x->all = list(tables, sizeof *x->all);
    x->counts = list((count + 1) * tables, sizeof *x->counts);
    x->out = list(2 * count, sizeof *x->out);
    x->in = list(2 * count, sizeof *x->in);
    return x;
}

void rank_rows_free(rank_rows *x)
{
    if (!x) return;
    for (int64_t i = 0; i < x->tables; i++) {
        row_grads_deinit(&x->all[i]);
    }
    free(x->all);
    free(x->counts);
    free(x->out);
    free(x->in);
    free(x);
}

static int64_t count_of(const rank_rows *x, int rank, int64_t table)
{
    return x->counts[rank * x->tables + table];
}

/* Two messages to a rank or from it: numbers [n], values [n, width]. */
static int list_rows(rank_part *list, int n, int rank, int32_t *rows, real *values, int64_t count,
                     int64_t width)
{
    if (count == 0) return n;
    list[n++] = (rank_part){rank, rows, (size_t)count * sizeof *rows};
    list[n++] = (rank_part){rank, values, (size_t)(count * width) * sizeof *values};
    return n;
}

static void reserve(rank_rows *x, int64_t table, int64_t width)
{
    int64_t total = 0;
    for (int i = 0; i < x->count; i++) {
        total += count_of(x, i, table);
    }
    x->all[table].width = width;
    row_grads_reserve(&x->all[table], total);
    x->all[table].count = total;
}

/* One table. The gathered rows become the gradient's, and its old memory the next step's room:
 * nothing is copied but the own rows, nothing freed. */
static bool gather_table(rank_rows *x, row_grads *g, int64_t table, err *e)
{
    row_grads *all = &x->all[table];
    int outs = 0, ins = 0;
    int64_t at = 0;
    reserve(x, table, g->width);
    for (int i = 0; i < x->count; i++) {
        int64_t n = count_of(x, i, table);
        int32_t *rows = all->rows + at;
        real *values = all->values + at * g->width;
        at += n;
        if (i != x->me) {
            ins = list_rows(x->in, ins, i, rows, values, n, g->width);
            outs = list_rows(x->out, outs, i, g->rows, g->values, g->count, g->width);
        } else if (n > 0) {
            memcpy(rows, g->rows, (size_t)n * sizeof *rows);
            memcpy(values, g->values, (size_t)(n * g->width) * sizeof *values);
        }
    }
    if (!ranks_exchange(x->ranks, x->out, outs, x->in, ins, e)) return false;
    row_grads swap = *g;
    *g = *all;
    *all = swap;
    return true;
}

bool rank_rows_gather(rank_rows *x, grads *g, err *e)
{
    if (!g->rows || x->tables == 0) return true;
    int64_t *mine = x->counts + x->count * x->tables;
    for (int64_t i = 0; i < x->tables; i++) {
        mine[i] = g->rows[i].count;
    }
    if (!ranks_gather(x->ranks, mine, (size_t)x->tables * sizeof *mine, x->counts, e)) return false;
    for (int64_t i = 0; i < x->tables; i++) {
        if (!gather_table(x, &g->rows[i], i, e)) return false;
    }
    return true;
}
