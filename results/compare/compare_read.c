#include "results/compare/compare_read.h"

#include <math.h>
#include <string.h>

static const char QUERY[] =
    "SELECT p.label, p.variant, p.baseline, p.run, p.seed, coalesce(r.status, 'planned'), "
    "r.reason, s.bits_per_byte, s.word_perplexity, s.perplexity, s.tokens, s.bytes, s.words, "
    "r.tokens, " STORE_RUN_SPEED ", r.peak_anon_bytes, s.protocol, s.split, "
    "r.params, r.active_params, r.state_bytes, r.forward_flops_per_token, "
    "(SELECT count(*) FROM document d WHERE d.evaluation = s.evaluation), s.evaluation, "
    "r.alone_tokens_per_second, s.step, r.train_flops_per_token, r.train_seconds, "
    "s.flops_per_token, s.seconds / nullif(s.tokens, 0), s.anon_bytes, s.dynamic_rate, "
    "s.dynamic_decay "
    "FROM plan p LEFT JOIN run r USING (run) LEFT JOIN score s ON s.evaluation = "
    "(SELECT e.evaluation FROM evaluation e WHERE e.run = p.run AND "
    " CASE WHEN ?2 IS NULL THEN e.final ELSE e.split = ?2 END "
    /* Of several that one which was done as the final one was, then that of the most text. */
    " ORDER BY e.step DESC, e.final DESC, e.protocol IS (SELECT f.protocol FROM evaluation f WHERE "
    "  f.run = e.run AND f.final LIMIT 1) DESC, e.tokens DESC, e.evaluation LIMIT 1) "
    "WHERE p.experiment = ?1 ORDER BY p.position";

static compared_run read_run(sqlite3_stmt *q, arena *a)
{
    compared_run r = {.run = store_text(q, 3, a),
                      .seed = store_int(q, 4, 0),
                      .status = store_text(q, 5, a),
                      .reason = store_text(q, 6, a),
                      .tokens = store_int(q, 10, -1),
                      .bytes = store_int(q, 11, -1),
                      .words = store_int(q, 12, -1),
                      .trained_tokens = store_int(q, 13, -1),
                      .tokens_per_second = store_real(q, 14),
                      .peak_bytes = store_int(q, 15, -1),
                      .protocol = store_text(q, 16, a),
                      .params = store_int(q, 18, -1),
                      .active_params = store_int(q, 19, -1),
                      .state_bytes = store_int(q, 20, -1),
                      .flops = store_real(q, 21),
                      .documents = (int)store_int(q, 22, 0),
                      .evaluation = store_text(q, 23, a),
                      .alone = store_real(q, 24),
                      .step = store_int(q, 25, -1),
                      .train_flops = store_real(q, 26),
                      .train_seconds = store_real(q, 27),
                      .eval = {store_real(q, 28), store_real(q, 29), store_real(q, 30),
                               store_real(q, 31), store_real(q, 32)}};
    /* A run that is going on has no result yet, whatever it evaluated on its way. */
    r.scored = strcmp(r.status, "done") == 0 && r.protocol;
    for (int m = 1; m < COMPARE_METRIC_COUNT; m++) {
        r.value[m] = r.scored ? store_real(q, 6 + m) : (double)NAN;
    }
    return r;
}

static compared_variant *find_variant(comparison *c, const char *label)
{
    for (int i = 0; i < c->count; i++) {
        if (strcmp(c->variants[i].label, label) == 0) return &c->variants[i];
    }
    return NULL;
}

/* Adds one to a list that doubles where it is full. */
static void *grown(arena *a, void *list, int count, size_t size)
{
    if (count & (count - 1)) return list; /* not a power of two: there is room */
    void *longer = arena_push_zero(a, MAX(2 * count, 1), size);
    if (count > 0) memcpy(longer, list, (size_t)count * size);
    return longer;
}

static void add_row(comparison *c, arena *a, sqlite3_stmt *q)
{
    const char *label = store_text(q, 0, a), *split = store_text(q, 17, a);
    compared_variant *v = find_variant(c, label);
    if (!v) {
        c->variants = grown(a, c->variants, c->count, sizeof *v);
        v = &c->variants[c->count++];
        v->label = v->plan_label = label;
        v->variant = store_text(q, 1, a);
        v->is_baseline = store_int(q, 2, 0) != 0;
    }
    v->runs = grown(a, v->runs, v->run_count, sizeof *v->runs);
    compared_run *r = &v->runs[v->run_count++];
    *r = read_run(q, a);
    v->planned++;
    v->done += strcmp(r->status, "done") == 0;
    v->failed += strcmp(r->status, "failed") == 0;
    v->diverged += strcmp(r->status, "diverged") == 0;
    v->running += strcmp(r->status, "running") == 0;
    v->interrupted += strcmp(r->status, "interrupted") == 0;
    if (r->scored && !c->split[0]) c->split = split;
}

static bool read_rows(comparison *c, arena *a, store *s, const char *split, err *e)
{
    sqlite3_stmt *q = store_prepare(s, QUERY, e);
    if (!q) return false;
    sqlite3_bind_text(q, 1, c->experiment, -1, SQLITE_STATIC);
    if (split) sqlite3_bind_text(q, 2, split, -1, SQLITE_STATIC);
    while (sqlite3_step(q) == SQLITE_ROW) {
        add_row(c, a, q);
    }
    return sqlite3_finalize(q) == SQLITE_OK || store_err(s, "cannot be read", e);
}

static bool read_head(comparison *c, arena *a, store *s, err *e)
{
    sqlite3_stmt *q =
        store_prepare(s, "SELECT description FROM experiment WHERE experiment = ?", e);
    if (!q) return false;
    sqlite3_bind_text(q, 1, c->experiment, -1, SQLITE_STATIC);
    if (sqlite3_step(q) == SQLITE_ROW) c->description = store_text(q, 0, a);
    return sqlite3_finalize(q) == SQLITE_OK || store_err(s, "cannot be read", e);
}

comparison *compare_read(arena *a, store *s, const char *experiment, const char *split, err *e)
{
    comparison *c = arena_push_zero(a, 1, sizeof *c);
    c->experiment = arena_strdup(a, experiment);
    c->description = c->split = "";
    if (!store_has_experiment(s, experiment, e) || !read_head(c, a, s, e) ||
        !read_rows(c, a, s, split, e)) {
        return NULL;
    }
    c->split_asked = split != NULL;
    if (split && !c->split[0]) c->split = arena_strdup(a, split);
    return c;
}
