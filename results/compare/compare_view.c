#include "results/compare/compare_view.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/options/option.h"
#include "results/compare/compare_cell.h"
#include "results/compare/compare_table.h"
#include "results/store/query.h"

/* Views change what is shown, never a figure of a variant. --where comes before means and
 * corrections (compare_load.c), since what is compared is one family of tests; the others are made
 * of a comparison that is whole. */

/* ---- axes ---- */

/* The axis of that name, or that ends so; NULL and e if it is none or several. By the last part of
 * its name, if only one ends so; the error lists them all. */
static const char *find_axis(arena *a, store *s, const char *experiment, const char *word,
                             size_t length, err *e)
{
    const char *found = NULL;
    char list[512] = "";
    int hits = 0;
    query q = QUERY(s, e, "SELECT DISTINCT axis FROM axis WHERE experiment = ?1 ORDER BY axis",
                    experiment);
    while (query_next(&q)) {
        const char *axis = query_text(&q, "axis", a);
        bool hit = compare_axis_named(axis, word, length);
        size_t n = strlen(list);
        snprintf(list + n, sizeof list - n, "%s%s", n ? ", " : "", axis);
        if (hit) found = axis;
        hits += hit;
    }
    if (!query_close(&q)) return NULL;
    if (hits == 1) return found;
    err_set(e, "'%.*s': %s; %s sweeps: %s", (int)length, word,
            hits ? "several axes end so" : "no such axis", experiment, *list ? list : "nothing");
    return NULL;
}

/* What the axis says of a variant; "": nothing. NULL and e if the database cannot be read. By the
 * plan's label and the axis: the table's key. */
static const char *value_of(arena *a, store *s, const comparison *c, int variant, const char *axis,
                            err *e)
{
    query q =
        QUERY(s, e, "SELECT value FROM axis WHERE experiment = ?1 AND label = ?2 AND axis = ?3",
              c->experiment, c->variants[variant].plan_label, axis);
    const char *value = query_next(&q) ? query_text(&q, "value", a) : "";
    return query_close(&q) ? value : NULL;
}

/* 1e-3 is 0.001: who filters need not spell a number as the spec does. */
static bool same_value(const char *x, const char *y)
{
    double p, q;
    if (strcmp(x, y) == 0) return true;
    return option_text_to_real(x, &p) && option_text_to_real(y, &q) && fabs(p - q) <= 0;
}

/* The baseline stays whatever it says of the axis: differences need it. It alone is no hit. */
bool compare_view_where(comparison *c, arena *a, store *s, const char *where, err *e)
{
    const char *equals = strchr(where, '=');
    if (!equals) return err_set(e, "--where %s: say AXIS=VALUE", where);
    const char *axis = find_axis(a, s, c->experiment, where, (size_t)(equals - where), e);
    /* `kept` counts what stays, `hits` what was asked for. */
    int kept = 0, hits = 0;
    if (!axis) return err_prefix(e, "--where");
    for (int i = 0; i < c->count; i++) {
        const char *value = value_of(a, s, c, i, axis, e);
        if (!value) return false;
        bool hit = same_value(value, equals + 1);
        hits += hit;
        if (!hit && !c->variants[i].is_baseline) continue;
        if (c->variants[i].is_baseline) c->baseline = kept;
        c->variants[kept++] = c->variants[i];
    }
    c->count = kept;
    return hits > 0 || err_set(e, "--where %s: no variant has that value", where);
}

/* ---- order ---- */

/* In the order of COMPARE_SORTS; BY_BITS and those behind it in that of the metrics. */
enum {
    BY_PLAN,
    BY_LABEL,
    BY_BITS,
    BY_WORDS,
    BY_PERPLEXITY,
    BY_DIFFERENCE,
    BY_PARAMS,
    BY_ACTIVE,
    BY_FLOPS,
    BY_SPEED,
    BY_MEMORY,
    BY_STATE
};

/* An index and what it is sorted by: qsort passes its comparison nothing else. */
typedef struct place {
    int variant;
    const char *label; /* NULL: by number */
    double x;          /* infinite: unknown, which comes last */
} place;

/* A size; -1 is unknown, and would come first. */
static double known(int64_t n)
{
    return n < 0 ? (double)NAN : (double)n;
}

/* A baseline's difference is 0, so that it stands between those that are better and those that are
 * worse. */
static double figure_of(const compared_variant *v, int by)
{
    double x = (double)NAN;
    if (by == BY_BITS) x = v->value[COMPARE_BITS_PER_BYTE].mean;
    if (by == BY_WORDS) x = v->value[COMPARE_WORD_PERPLEXITY].mean;
    if (by == BY_PERPLEXITY) x = v->value[COMPARE_PERPLEXITY].mean;
    if (by == BY_DIFFERENCE) x = v->is_baseline ? 0 : v->difference.mean;
    if (by == BY_PARAMS) x = known(v->params);
    if (by == BY_ACTIVE) x = known(v->active_params);
    if (by == BY_FLOPS) x = v->flops;
    if (by == BY_SPEED) x = v->tokens_per_second;
    if (by == BY_MEMORY) x = known(v->peak_bytes);
    if (by == BY_STATE) x = known(v->state_bytes);
    return isfinite(x) ? x : (double)INFINITY;
}

/* Ties in the order of the plan: qsort keeps none. */
static int by_place(const void *p, const void *q)
{
    const place *x = p, *y = q;
    int order = x->label ? strcmp(x->label, y->label) : (x->x > y->x) - (x->x < y->x);
    return order ? order : x->variant - y->variant;
}

void compare_view_sort(comparison *c, arena *a, int by)
{
    if (by == BY_PLAN || c->count == 0) return;
    place *list = ARENA_NEW(a, place, c->count);
    /* A new list; the variants themselves are copied, with their pointers to runs. */
    compared_variant *sorted = ARENA_NEW(a, compared_variant, c->count);
    for (int i = 0; i < c->count; i++) {
        const compared_variant *v = &c->variants[i];
        list[i] = (place){i, by == BY_LABEL ? v->label : NULL, figure_of(v, by)};
    }
    qsort(list, (size_t)c->count, sizeof *list, by_place);
    for (int i = 0; i < c->count; i++) {
        sorted[i] = c->variants[list[i].variant];
        /* The index moves with its variant. */
        if (sorted[i].is_baseline) c->baseline = i;
    }
    c->variants = sorted;
}

/* ---- two axes ---- */

/* Values in the order in which the plan meets them, which is that of the spec, not of their text:
 * 8, 16, 128. */
static int place_of(const char **list, int *count, const char *text)
{
    for (int i = 0; i < *count; i++) {
        if (strcmp(list[i], text) == 0) return i;
    }
    list[*count] = text;
    return (*count)++;
}

typedef struct pivot {
    int rows, columns;
    const char **row, **column; /* their values */
    int *best;                  /* [rows, columns]: which variant is in the cell; -1: none */
} pivot;

/* Has variant i the better mean, or one of all of its seeds where k lost some? What is left of
 * seeds that break is no fair mean. */
static bool better(const comparison *c, int i, int k)
{
    const compared_variant *x = &c->variants[i], *y = &c->variants[k];
    if ((x->lost > 0) != (y->lost > 0)) return y->lost > 0;
    return x->value[c->metric].mean < y->value[c->metric].mean;
}

static bool are_unlike(const comparison *c, int i, int k)
{
    return compare_unlike_tokens(&c->variants[i], &c->variants[k], c->metric);
}

/* Other axes put several variants into a cell: their best, as readers of a grid want to know what
 * it can reach. For each at one value --where keeps that. row, column [c->count]: its cell. */
static bool fill_cells(pivot *p, const comparison *c, const int *row, const int *column, err *e)
{
    for (int i = 0; i < c->count; i++) {
        int *cell = &p->best[row[i] * p->columns + column[i]];
        if (c->variants[i].value[c->metric].n == 0) continue;
        if (*cell >= 0 && are_unlike(c, i, *cell)) {
            return err_set(e,
                           "--pivot: '%s' and '%s' are in one cell, and their tokens are of "
                           "different tokenizers: figures per token cannot be compared; take the "
                           "axis of tokenizers as one of the two",
                           c->variants[*cell].label, c->variants[i].label);
        }
        if (*cell < 0 || better(c, i, *cell)) *cell = i;
    }
    return true;
}

static bool fill(pivot *p, arena *a, store *s, const comparison *c, const char *const axes[2],
                 err *e)
{
    *p = (pivot){.row = ARENA_NEW(a, const char *, c->count),
                 .column = ARENA_NEW(a, const char *, c->count)};
    int *row = ARENA_NEW(a, int, c->count), *column = ARENA_NEW(a, int, c->count);
    for (int i = 0; i < c->count; i++) {
        const char *r = value_of(a, s, c, i, axes[0], e), *k = value_of(a, s, c, i, axes[1], e);
        if (!r || !k) return false;
        row[i] = place_of(p->row, &p->rows, r);
        column[i] = place_of(p->column, &p->columns, k);
    }
    if (1 + p->columns * COMPARE_CELL_COLUMNS > TABLE_COLUMNS) {
        return err_set(e, "%s has %d values, more than a table has columns", axes[1], p->columns);
    }
    p->best = ARENA_NEW(a, int, (int64_t)p->rows * p->columns);
    for (int i = 0; i < p->rows * p->columns; i++) {
        p->best[i] = -1;
    }
    return fill_cells(p, c, row, column, e);
}

/* The best cell of all of whose seeds are there; -1: none is, or they cannot be compared. */
static int best_cell(const comparison *c, const pivot *p)
{
    int best = -1;
    for (int i = 0; i < p->rows * p->columns; i++) {
        int v = p->best[i];
        if (v < 0 || c->variants[v].lost > 0) continue;
        if (best >= 0 && are_unlike(c, v, best)) return -1;
        if (best < 0 || better(c, v, best)) best = v;
    }
    return best;
}

table *compare_view_pivot(bool *marked, arena *a, store *s, const comparison *c, const char *rows,
                          const char *columns, err *e)
{
    const char *axes[2] = {find_axis(a, s, c->experiment, rows, strlen(rows), e), NULL};
    if (axes[0]) axes[1] = find_axis(a, s, c->experiment, columns, strlen(columns), e);
    pivot p;
    if (!axes[0] || !axes[1]) return err_prefix(e, "--pivot"), NULL;
    if (!fill(&p, a, s, c, axes, e)) return NULL;
    table *t = table_new(a);
    /* One number of digits for all cells: they are all of one metric. */
    int digits = compare_table_decimals(c, c->metric), head, best = best_cell(c, &p);
    *marked = best >= 0;
    const char *dot = strrchr(axes[1], '.');
    compare_cell *cells = ARENA_NEW(a, compare_cell, p.columns);
    head = table_column(t, axes[0], axes[0], compare_metric_title(c->metric),
                        TABLE_LEFT | TABLE_WHOLE);
    for (int k = 0; k < p.columns; k++) {
        cells[k] = compare_cell_head(t, a, p.column[k], dot ? dot + 1 : axes[1], 0);
    }
    for (int r = 0; r < p.rows; r++) {
        table_row(t);
        table_text(t, head, "%s", p.row[r]);
        for (int k = 0; k < p.columns; k++) {
            int v = p.best[r * p.columns + k];
            if (v < 0) continue;
            /* One mark in all the table. */
            compare_cell_variant(t, &cells[k], &c->variants[v], c->metric, digits,
                                 v == best ? "*" : "");
        }
    }
    return t;
}
