#include "results/report/status.h"

#include <math.h>
#include <string.h>

#include "core/base/json.h"

static const char *const STATES[] = {"done",   "running",     "planned",
                                     "failed", "interrupted", "diverged"};
enum { STATE_COUNT = 6 };

bool status_experiments(table *t, store *s, err *e)
{
    sqlite3_stmt *q = store_prepare(
        s,
        "SELECT x.experiment, x.created_at, x.description, count(p.run), "
        "sum(r.status = 'done'), sum(r.status = 'running'), "
        "sum(coalesce(r.status, 'planned') = 'planned'), sum(r.status = 'failed'), "
        "sum(r.status = 'interrupted'), sum(r.status = 'diverged') "
        "FROM experiment x LEFT JOIN plan p USING (experiment) LEFT JOIN run r USING (run) "
        "GROUP BY x.experiment ORDER BY x.created_at DESC, x.experiment",
        e);
    if (!q) return false;
    arena *a = arena_new(1 << 16);
    int name = table_column(t, "experiment", "experiment", "", TABLE_LEFT), state[STATE_COUNT];
    int runs = table_column(t, "runs", "runs", "", 0);
    for (int i = 0; i < STATE_COUNT; i++) {
        state[i] = table_column(t, STATES[i], STATES[i], "", 0);
    }
    int created = table_column(t, "created_at", "first run", "UTC", TABLE_LEFT);
    int description = table_column(t, "description", "description", "", TABLE_LEFT);
    while (sqlite3_step(q) == SQLITE_ROW) {
        table_row(t);
        table_text(t, name, "%s", store_text(q, 0, a));
        table_text(t, created, "%s", store_text(q, 1, a));
        table_text(t, description, "%s", store_text(q, 2, a));
        table_int(t, runs, store_int(q, 3, 0));
        for (int i = 0; i < STATE_COUNT; i++) {
            table_int(t, state[i], store_int(q, 4 + i, 0));
        }
    }
    arena_free(a);
    return sqlite3_finalize(q) == SQLITE_OK || store_err(s, "cannot be read", e);
}

/* Of the last logged step. */
#define LAST_LOSS                                                                                  \
    "(SELECT m.value FROM metric m WHERE m.run = p.run AND m.name = 'loss' AND m.layer = '' "      \
    "ORDER BY m.step DESC LIMIT 1)"

bool status_runs(table *t, store *s, const char *experiment, err *e)
{
    if (!store_has_experiment(s, experiment, e)) return false;
    sqlite3_stmt *q = store_prepare(
        s,
        "SELECT p.label, p.seed, p.run, coalesce(r.status, 'planned'), r.step, r.steps, "
        "r.tokens, " LAST_LOSS ", " STORE_RUN_SPEED ", r.train_seconds, r.reason "
        "FROM plan p LEFT JOIN run r USING (run) WHERE p.experiment = ? ORDER BY p.position",
        e);
    if (!q) return false;
    sqlite3_bind_text(q, 1, experiment, -1, SQLITE_STATIC);
    arena *a = arena_new(1 << 16);
    int variant = table_column(t, "variant", "variant", "", TABLE_LEFT);
    int seed = table_column(t, "seed", "seed", "", 0);
    int run = table_column(t, "run", "run", "", TABLE_LEFT);
    int status = table_column(t, "status", "status", "", TABLE_LEFT);
    int step = table_column(t, "step", "step", "", 0),
        steps = table_column(t, "steps", "of", "", 0);
    int tokens = table_column(t, "tokens", "tokens", "", 0);
    int loss = table_column(t, "loss", "loss", "nats/token", 0);
    int speed = table_column(t, "tokens_per_second", "tokens/s", "", 0);
    int seconds = table_column(t, "train_seconds", "time", "s", 0);
    int reason = table_column(t, "reason", "reason", "", TABLE_LEFT);
    while (sqlite3_step(q) == SQLITE_ROW) {
        const char *why = store_text(q, 10, a);
        table_row(t);
        table_text(t, variant, "%s", store_text(q, 0, a));
        table_int(t, seed, store_int(q, 1, 0));
        table_text(t, run, "%s", store_text(q, 2, a));
        table_text(t, status, "%s", store_text(q, 3, a));
        if (isfinite(store_real(q, 4))) table_int(t, step, store_int(q, 4, 0));
        if (isfinite(store_real(q, 5))) table_int(t, steps, store_int(q, 5, 0));
        table_scaled(t, tokens, store_real(q, 6));
        table_real(t, loss, store_real(q, 7), 4);
        table_scaled(t, speed, store_real(q, 8));
        table_real(t, seconds, store_real(q, 9), 1);
        if (why) table_text(t, reason, "%s", why);
    }
    arena_free(a);
    return sqlite3_finalize(q) == SQLITE_OK || store_err(s, "cannot be read", e);
}

bool status_total(status_totals *t, store *s, const char *experiment, err *e)
{
    sqlite3_stmt *q = store_prepare(
        s,
        "SELECT coalesce(r.status, 'planned'), r.step, r.steps, r.train_seconds FROM plan p LEFT "
        "JOIN run r USING (run) WHERE p.experiment = ?",
        e);
    if (!q) return false;
    sqlite3_bind_text(q, 1, experiment, -1, SQLITE_STATIC);
    *t = (status_totals){.seconds_left = (double)NAN};
    int known = 0, unknown = 0;
    double seconds = 0, steps = 0;
    while (sqlite3_step(q) == SQLITE_ROW) {
        const char *state = (const char *)sqlite3_column_text(q, 0);
        bool failed = strcmp(state, "failed") == 0 || strcmp(state, "diverged") == 0;
        double step = store_real(q, 1), of = store_real(q, 2), took = store_real(q, 3);
        t->planned++;
        t->done += strcmp(state, "done") == 0;
        t->running += strcmp(state, "running") == 0;
        t->failed += failed;
        if (failed) continue;
        if (!(of > 0)) {
            unknown++;
            continue;
        }
        known++;
        t->steps += of;
        t->steps_done += isfinite(step) ? step : 0;
        if (isfinite(took) && isfinite(step)) {
            seconds += took;
            steps += step;
        }
    }
    t->waiting = t->planned - t->done - t->running - t->failed;
    if (known > 0) t->steps += unknown * t->steps / known;
    if (steps > 0) {
        t->seconds_left = (t->steps - t->steps_done) * seconds / steps / MAX(t->running, 1);
    }
    return sqlite3_finalize(q) == SQLITE_OK || store_err(s, "cannot be read", e);
}

void status_sentence(char text[256], const status_totals *t)
{
    int n = snprintf(text, 256, "%d of %d runs done", t->done, t->planned);
    if (t->running) n += snprintf(text + n, (size_t)(256 - n), ", %d running", t->running);
    if (t->waiting) n += snprintf(text + n, (size_t)(256 - n), ", %d waiting", t->waiting);
    if (t->failed) n += snprintf(text + n, (size_t)(256 - n), ", %d failed", t->failed);
    if (t->done + t->failed == t->planned || !(t->steps > 0)) return;
    n += snprintf(text + n, (size_t)(256 - n), "; %.0f %% of all steps",
                  100 * t->steps_done / t->steps);
    if (!isfinite(t->seconds_left) || t->running == 0) return;
    long long left = llround(t->seconds_left);
    snprintf(text + n, (size_t)(256 - n), ", about %lld:%02lld:%02lld left", left / 3600,
             left / 60 % 60, left % 60);
}

json_t *status_json(const status_totals *t, const char *experiment)
{
    json_t *o = json_object();
    json_object_set_new(o, "experiment", json_string(experiment));
    json_object_set_new(o, "planned", json_integer(t->planned));
    json_object_set_new(o, "done", json_integer(t->done));
    json_object_set_new(o, "running", json_integer(t->running));
    json_object_set_new(o, "waiting", json_integer(t->waiting));
    json_object_set_new(o, "failed", json_integer(t->failed));
    json_object_set_new(o, "steps", json_finite(t->steps));
    json_object_set_new(o, "steps_done", json_finite(t->steps_done));
    json_object_set_new(o, "seconds_left", json_finite(t->seconds_left));
    return o;
}
