#include "results/compare/compare_recall.h"

#include <math.h>

#include "results/store/query.h"

/* Accuracies are formed per run, then over seeds; the spread that matters is between trainings. The
 * mean over distances is a run's own first, and then has its interval like any figure: the interval
 * of a mean of means would treat the distances of one run as if they were runs. */

/* On the stack and in a table's columns; probes have some ten distances. */
enum { MAX_DISTANCES = 256, MAX_SEEDS = 1024 };

/* Of all variants together: one that was asked fewer has gaps, and columns do not shift. */
static bool read_distances(recall_comparison *out, arena *a, const comparison *c, store *s, err *e)
{
    query q = QUERY(s, e,
                    "SELECT DISTINCT r.distance FROM plan p JOIN evaluation v USING (run) JOIN "
                    "recall r USING (evaluation) WHERE p.experiment = ?1 AND v.final "
                    "ORDER BY r.distance",
                    c->experiment);
    out->distances = ARENA_NEW(a, int64_t, MAX_DISTANCES);
    while (out->count < MAX_DISTANCES && query_next(&q)) {
        out->distances[out->count++] = query_int(&q, "distance", 0);
    }
    return query_close(&q);
}

/* Accuracies of a run [distances, then their mean]; NaN where nothing was asked. Runs that were cut
 * between two evaluations have none that counts (NULL finds no row): all stay NaN. */
static bool read_run(double *accuracy, const recall_comparison *r, const compared_run *run,
                     store *s, err *e)
{
    for (int k = 0; k <= r->count; k++) {
        accuracy[k] = (double)NAN;
    }
    if (!run->scored) return true;
    query q = QUERY(s, e, "SELECT distance, correct, answers FROM recall WHERE evaluation = ?1",
                    run->evaluation);
    while (query_next(&q)) {
        int64_t distance = query_int(&q, "distance", 0);
        double correct = query_real(&q, "correct"), answers = query_real(&q, "answers");
        for (int k = 0; k < r->count; k++) {
            /* 0 of 0 answers are NaN, as if nothing had been asked. */
            if (distance == r->distances[k]) accuracy[k] = correct / answers;
        }
    }
    double sum = 0;
    int asked = 0;
    for (int k = 0; k < r->count; k++) {
        if (!isfinite(accuracy[k])) continue;
        sum += accuracy[k];
        asked++;
    }
    if (asked > 0) accuracy[r->count] = sum / asked;
    return query_close(&q);
}

/* Column k of [runs, distances + 1]. Least and most beside the interval: accuracies lie between 0
 * and 1 and are mostly at one of the ends, where a t-interval says little. */
static recall_cell cell_of(const double *accuracy, const recall_comparison *r,
                           const compared_variant *v, int k)
{
    double x[MAX_SEEDS];
    int n = 0;
    recall_cell cell = {.low = (double)INFINITY, .high = -(double)INFINITY};
    for (int i = 0; i < v->run_count && n < MAX_SEEDS; i++) {
        double value = accuracy[i * (r->count + 1) + k];
        if (!isfinite(value) || compare_repeats(v, NULL, i)) continue;
        x[n++] = value;
        cell.low = fmin(cell.low, value);
        cell.high = fmax(cell.high, value);
    }
    cell.accuracy = stats_mean(x, n, STATS_CONFIDENCE);
    return cell;
}

/* Variant by variant: the accuracies of one variant's runs are in memory, and its cells are what
 * stays. */
static bool fill(recall_comparison *r, arena *a, const comparison *c, store *s, err *e)
{
    r->cells = arena_push_zero(a, (int64_t)c->count * r->count, sizeof *r->cells);
    r->means = arena_push_zero(a, c->count, sizeof *r->means);
    int64_t columns = r->count + 1;
    for (int i = 0; i < c->count; i++) {
        const compared_variant *v = &c->variants[i];
        /* [runs, distances + 1], the mean in the last column. */
        double *accuracy = ARENA_NEW(a, double, v->run_count *columns + 1);
        for (int k = 0; k < v->run_count; k++) {
            if (!read_run(accuracy + k * columns, r, &v->runs[k], s, e)) return false;
        }
        for (int k = 0; k < r->count; k++) {
            r->cells[i * r->count + k] = cell_of(accuracy, r, v, k);
        }
        r->means[i] = cell_of(accuracy, r, v, r->count);
    }
    return true;
}

/* Answers are symbols; what is asked for is one of so many: of mqar's, the second half. What
 * guessing reaches, for the line in the plot: below it nothing was remembered. Where variants are
 * asked for one of more than others are, one line would be wrong for some of them. */
static bool read_chance(recall_comparison *r, const comparison *c, store *s, err *e)
{
    query q = QUERY(s, e,
                    "SELECT count(DISTINCT answers) AS kinds, max(answers) AS answers FROM (SELECT "
                    "symbols - (task IS 'mqar') * (symbols / 2) AS answers FROM (SELECT "
                    "json_extract(r.spec, '$.data.symbols') AS symbols, "
                    "json_extract(r.spec, '$.data.task') AS task "
                    "FROM plan p JOIN run r USING (run) WHERE p.experiment = ?1))",
                    c->experiment);
    if (query_next(&q) && query_int(&q, "kinds", 0) == 1) r->chance = 1 / query_real(&q, "answers");
    return query_close(&q);
}

recall_comparison *compare_recall(arena *a, const comparison *c, store *s, err *e)
{
    recall_comparison *r = arena_push_zero(a, 1, sizeof *r);
    r->chance = (double)NAN;
    if (!read_distances(r, a, c, s, e)) return NULL;
    /* No probe: an empty comparison, no error. */
    if (r->count == 0) return r;
    return fill(r, a, c, s, e) && read_chance(r, c, s, e) ? r : NULL;
}

/* Keys are the distances, so that a program can take them for numbers. An empty cell was not
 * asked. */
table *compare_recall_table(arena *a, const comparison *c, const recall_comparison *r)
{
    table *t = table_new(a);
    int name = table_column(t, "variant", "accuracy at distance", "", TABLE_LEFT | TABLE_WHOLE);
    int *column = ARENA_NEW(a, int, r->count);
    for (int k = 0; k < r->count; k++) {
        char *key = arena_push(a, 32, 1);
        snprintf(key, 32, "%lld", (long long)r->distances[k]);
        column[k] = table_column(t, key, key, "", 0);
    }
    for (int i = 0; i < c->count; i++) {
        table_row(t);
        table_text(t, name, "%s", c->variants[i].label);
        for (int k = 0; k < r->count; k++) {
            estimate x = r->cells[i * r->count + k].accuracy;
            if (x.n > 0) table_real(t, column[k], x.mean, 2);
        }
    }
    return t;
}
