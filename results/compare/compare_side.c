#include "results/compare/compare_side.h"

#include <math.h>
#include <string.h>

#include "results/compare/compare_cell.h"
#include "results/compare/compare_table.h"

/* People see a mean with its interval in each cell, programs each number in a column of its own;
 * both see of how many seeds it is where some are missing, as a mean of those that came through is
 * another figure. */

/* y minus x, seed by seed. A seed that one of them lacks makes no pair. Two experiments agree in
 * what a seed means only if they trained on the same text; that is the reader's to know. */
static estimate paired(arena *a, const compared_variant *x, const compared_variant *y,
                       compare_metric m)
{
    double *p = ARENA_NEW(a, double, y->run_count), *q = ARENA_NEW(a, double, y->run_count);
    bool unlike = compare_unlike_tokens(x, y, m);
    for (int i = 0; i < y->run_count; i++) {
        p[i] = y->runs[i].value[m];
        q[i] = unlike || compare_repeats(y, x, i) ? (double)NAN
                                                  : compare_seed_value(x, y->runs[i].seed, m);
    }
    return stats_paired(p, q, y->run_count, STATS_CONFIDENCE);
}

/* Of one run each, where there is one: within an experiment the comparison sees to it. */
static bool alike(const compared_run *one, const compared_run *other)
{
    return !one || !other || strcmp(one->protocol, other->protocol) == 0;
}

static bool scored_alike(const compared_variant *x, const compared_variant *y)
{
    return alike(compare_scored(x), compare_scored(y));
}

/* The better is marked by its mean; whether it is surely better the difference says. Not where one
 * of them lost runs, nor per token of different tokenizers. */
static const char *mark_of(const compared_variant *x, const compared_variant *y, compare_metric m)
{
    if (!x || !y || x->lost > 0 || y->lost > 0 || compare_unlike_tokens(x, y, m)) return "";
    return x->value[m].mean < y->value[m].mean ? "*" : "";
}

/* ---- the table ---- */

static int count_common(const comparison *x, const comparison *y)
{
    int common = 0;
    for (int i = 0; i < x->count; i++) {
        common += compare_find(y, x->variants[i].label) != NULL;
    }
    return common;
}

bool compare_side_alike(const comparison *x, const comparison *y)
{
    for (int i = 0; i < x->count; i++) {
        const compared_variant *other = compare_find(y, x->variants[i].label);
        if (other && !scored_alike(&x->variants[i], other)) return false;
    }
    /* Where nothing is paired, all of one stand beside all of the other. */
    return count_common(x, y) > 0 || alike(compare_first_scored(x), compare_first_scored(y));
}

table *compare_side(bool *marked, arena *a, const comparison *x, const comparison *y)
{
    table *t = table_new(a);
    const compare_metric m = x->metric;
    int digits = compare_table_decimals(x, m), common = count_common(x, y);
    const char *unit = compare_metric_title(m);
    int label = table_column(t, "variant", "variant", "", TABLE_LEFT | TABLE_WHOLE);
    const compare_cell first = compare_cell_head(t, a, x->experiment, unit, 0);
    const compare_cell second = compare_cell_head(t, a, y->experiment, unit, 0);
    const compare_cell difference =
        compare_cell_head(t, a, "difference", "paired by seed", TABLE_KEPT);
    int same = table_column(t, "scored_alike", "", "", TABLE_PROGRAMS);
    *marked = false;
    /* First all of x, then those of y that have no partner: a pair is met once, as y's own has no
     * `own`. */
    for (int i = 0; i < x->count + y->count; i++) {
        const compared_variant *v = i < x->count ? &x->variants[i] : &y->variants[i - x->count];
        const compared_variant *own = i < x->count ? v : NULL;
        const compared_variant *other = i < x->count ? compare_find(y, v->label) : v;
        /* Where some are called alike the others are left out, or the pairs would be lost among
         * them. Where none is, all are shown, each in its own column, and nothing is paired. */
        if (common > 0 && (!own || !other)) continue;
        table_row(t);
        table_text(t, label, "%s", v->label);
        const char *own_mark = mark_of(own, other, m), *other_mark = mark_of(other, own, m);
        *marked = *marked || *own_mark || *other_mark;
        if (own) compare_cell_variant(t, &first, own, m, digits, own_mark);
        if (other) compare_cell_variant(t, &second, other, m, digits, other_mark);
        if (!own || !other) continue;
        compare_cell_put(t, &difference, paired(a, own, other, m), digits, true);
        table_int(t, same, scored_alike(own, other));
    }
    return t;
}
