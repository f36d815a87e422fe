/* What routed layers did with the tokens: load of their experts, and how stable routing is. */
#include "results/compare/compare_routing.h"

#include <math.h>

/* Over the last tenth of training: a single batch's loads are mostly that batch. */
static const char QUERY[] =
    "SELECT avg(CASE name WHEN 'load_entropy' THEN value END), "
    "avg(CASE name WHEN 'dropped' THEN value END), "
    "(SELECT avg(m.value) FROM evaluation e JOIN evaluation_metric m USING (evaluation) "
    " WHERE e.run = ?1 AND m.name = 'changed' GROUP BY e.evaluation "
    " HAVING count(m.value) > 0 ORDER BY e.step DESC, e.evaluation LIMIT 1) "
    "FROM metric WHERE run = ?1 AND name IN ('load_entropy', 'dropped') AND layer <> '' "
    "AND step > 0.9 * (SELECT max(step) FROM step WHERE run = ?1)";

static bool read_run(compared_run *r, store *s, sqlite3_stmt *q, err *e)
{
    sqlite3_bind_text(q, 1, r->run, -1, SQLITE_STATIC);
    bool any = sqlite3_step(q) == SQLITE_ROW;
    for (int m = 0; m < ROUTING_FIGURES; m++) {
        r->routing[m] = any && r->scored ? store_real(q, m) : (double)NAN;
    }
    return sqlite3_reset(q) == SQLITE_OK || store_err(s, "cannot be read", e);
}

static void summarise(compared_variant *v, arena *a)
{
    double *x = ARENA_NEW(a, double, v->run_count);
    for (int m = 0; m < ROUTING_FIGURES; m++) {
        for (int i = 0; i < v->run_count; i++) {
            x[i] = v->runs[i].routing[m];
        }
        v->routing[m] = stats_mean(x, v->run_count, STATS_CONFIDENCE).mean;
    }
}

bool compare_routing(comparison *c, arena *a, store *s, err *e)
{
    sqlite3_stmt *q = store_prepare(s, QUERY, e);
    bool ok = q != NULL;
    for (int i = 0; ok && i < c->count; i++) {
        compared_variant *v = &c->variants[i];
        for (int k = 0; ok && k < v->run_count; k++) {
            ok = read_run(&v->runs[k], s, q, e);
        }
        summarise(v, a);
    }
    sqlite3_finalize(q);
    return ok;
}
