#include "results/report/status.h"

#include <math.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/terminal.h"
#include "core/base/text.h"
#include "results/store/experiment.h"
#include "results/table/table_query.h"

/* How far things are is asked of the database alone, which the caller has brought up to date: this
 * never looks into a run's folder. What is left is an estimate from the steps that were made so
 * far, and says "about". */

/* Experiments without any plan are shown too: their record is there. */
bool status_experiments(table *t, store *s, err *e)
{
    /* Failed, diverged and interrupted apart: what is to be done about each differs. */
    static const table_field fields[] = {
        {"experiment", "experiment", "", FORM_TEXT, 0, TABLE_WHOLE},
        {"runs", "runs", "", FORM_INT, 0, TABLE_KEPT},
        {"done", "done", "", FORM_INT, 0, TABLE_KEPT},
        {"running", "running", "", FORM_INT, 0, 0},
        {"planned", "planned", "", FORM_INT, 0, 0},
        {"failed", "failed", "", FORM_INT, 0, TABLE_KEPT},
        {"interrupted", "interrupted", "", FORM_INT, 0, TABLE_SPARE},
        {"diverged", "diverged", "", FORM_INT, 0, TABLE_SPARE},
        {"created_at", "first run", "UTC", FORM_TEXT, 0, TABLE_SPARE},
        {"description", "description", "", FORM_TEXT, 0, TABLE_SPARE}};
    query q = QUERY(s, e,
                    /* total() and not sum(): an experiment without runs has zeros, not NULLs. */
                    "WITH state AS (SELECT p.experiment, coalesce(r.status, 'planned') AS status "
                    "  FROM plan p LEFT JOIN run r USING (run)) "
                    "SELECT x.experiment, x.created_at, x.description, count(s.status) AS runs, "
                    "total(status = 'done') AS done, total(status = 'running') AS running, "
                    "total(status = 'planned') AS planned, total(status = 'failed') AS failed, "
                    "total(status = 'interrupted') AS interrupted, "
                    "total(status = 'diverged') AS diverged "
                    "FROM experiment x LEFT JOIN state s USING (experiment) "
                    "GROUP BY x.experiment ORDER BY x.created_at DESC, x.experiment",
                    NULL);
    return table_query(t, &q, fields, sizeof fields / sizeof *fields);
}

/* Whether runs were trained by batch jobs, or on several machines. One machine and no batch jobs is
 * the usual case, and two columns of one word say nothing. */
static bool trained_elsewhere(bool *elsewhere, store *s, const char *experiment, err *e)
{
    query q = QUERY(s, e,
                    "SELECT count(DISTINCT host) > 1 OR count(job) > 0 AS elsewhere FROM run "
                    "WHERE run IN (SELECT run FROM plan WHERE experiment = ?1)",
                    experiment);
    *elsewhere = query_next(&q) && query_int(&q, "elsewhere", 0) != 0;
    return query_close(&q);
}

/* Where a run is says nothing where all are in one place. The columns come back as soon as a second
 * host or a batch job is in it. */
static bool says_where(const table_field *f)
{
    return strcmp(f->key, "host") == 0 || strcmp(f->key, "job") == 0;
}

bool status_runs(table *t, store *s, const char *experiment, err *e)
{
    /* "of" behind "step" reads as one: 300 of 1000. The loss is of training and in nats, as it is
     * logged: a figure for who watches, not for who compares. */
    static const table_field fields[] = {
        {"variant", "variant", "", FORM_TEXT, 0, TABLE_WHOLE},
        {"seed", "seed", "", FORM_INT, 0, TABLE_KEPT}, /* which of the variant's rows it is */
        {"run", "run", "", FORM_TEXT, 0, TABLE_SPARE | TABLE_WHOLE},
        {"status", "status", "", FORM_TEXT, 0, TABLE_KEPT},
        {"step", "step", "", FORM_INT, 0, 0},
        {"steps", "of", "", FORM_INT, 0, TABLE_BEHIND},
        {"tokens", "tokens", "", FORM_SCALED, 0, TABLE_SPARE},
        {"loss", "loss", "nats/token", FORM_REAL, 4, 0},
        {"tokens_per_second", "tokens/s", "", FORM_SCALED, 0, TABLE_SPARE},
        {"train_seconds", "time", "s", FORM_REAL, 1, TABLE_SPARE},
        {"host", "host", "", FORM_TEXT, 0, TABLE_SPARE},
        {"job", "job", "", FORM_TEXT, 0, 0},
        {"reason", "reason", "", FORM_TEXT, 0, 0}};
    enum { FIELDS = sizeof fields / sizeof *fields };
    table_field shown[FIELDS];
    bool elsewhere;
    int count = 0;
    if (!experiment_check(s, experiment, e) || !trained_elsewhere(&elsewhere, s, experiment, e)) {
        return false;
    }
    for (int i = 0; i < FIELDS; i++) {
        if (elsewhere || !says_where(&fields[i])) shown[count++] = fields[i];
    }
    query q = QUERY(s, e,
                    /* The last logged loss is found from the end of the run's range in metric's key
                     * (run, name, layer, step). */
                    "SELECT p.label AS variant, p.seed, p.run, coalesce(r.status, 'planned') AS "
                    "status, r.step, r.steps, r.tokens, (SELECT m.value FROM metric m WHERE m.run "
                    "= p.run AND m.name = 'loss' AND m.layer = '' ORDER BY m.step DESC LIMIT 1) "
                    "AS loss, " STORE_RUN_SPEED " AS tokens_per_second, r.train_seconds, "
                    "r.host, r.job, r.reason "
                    "FROM plan p LEFT JOIN run r USING (run) WHERE p.experiment = ?1 "
                    "ORDER BY p.position",
                    experiment);
    return table_query(t, &q, shown, count);
}

/* By its key, as which columns there are depends on where runs were trained. */
static int column_of(const table *t, const char *key)
{
    int c = 0;
    while (c < t->columns && strcmp(t->column[c].key, key) != 0) {
        c++;
    }
    CHECK(c < t->columns, "a table of runs without %s", key);
    return c;
}

static const char *shown_of(const table *t, int row, const char *key)
{
    const table_cell *x = &t->line[row].cell[column_of(t, key)];
    return x->kind == CELL_EMPTY ? "" : x->text;
}

void status_reasons(FILE *out, table *t, int most, int columns)
{
    int told = 0, more = 0;
    t->column[column_of(t, "reason")].flags |= TABLE_PROGRAMS;
    for (int r = 0; r < t->rows; r++) {
        const char *reason = shown_of(t, r, "reason");
        if (!*reason) continue;
        if (told == most) {
            more++;
            continue;
        }
        text_memory m;
        fprintf(text_begin(&m), "%s, seed %s, %s: %s", shown_of(t, r, "variant"),
                shown_of(t, r, "seed"), shown_of(t, r, "status"), reason);
        text_auto *line = text_end(&m);
        terminal_wrap(out, line, 0, 2, columns);
        fputc('\n', out);
        told++;
    }
    if (more) fprintf(out, "and %d runs more with a reason; --all lists them\n", more);
}

/* What failed and what is running stays to the last: it is what one looks for. Of one state the
 * rows at the end go first. */
int status_fold(table *t, int rows)
{
    static const char *const states[] = {"planned", "done", "interrupted"};
    /* Lines are moved up in place; the cells of those that go stay in the arena. */
    int before = t->rows;
    for (int i = 0; i < 3; i++) {
        /* From behind, so that what moves up was looked at already. */
        for (int r = t->rows - 1; r >= 0 && t->rows > rows; r--) {
            if (strcmp(shown_of(t, r, "status"), states[i]) != 0) continue;
            t->rows--;
            for (int k = r; k < t->rows; k++) {
                t->line[k] = t->line[k + 1];
            }
        }
    }
    return before - t->rows;
}

/* Over the plan, so that runs that have not begun count. */
bool status_total(status_totals *t, store *s, const char *experiment, err *e)
{
    query q = QUERY(s, e,
                    /* With its own evaluations, which may take longer than training; what somebody
                     * evaluated since is none of it. */
                    "SELECT coalesce(r.status, 'planned') AS status, r.step, r.steps, "
                    "r.train_seconds + coalesce((SELECT sum(v.seconds) FROM evaluation v WHERE "
                    "v.run = p.run AND (v.final OR v.step < r.steps)), 0) AS seconds "
                    "FROM plan p LEFT JOIN run r USING (run) WHERE p.experiment = ?1",
                    experiment);
    *t = (status_totals){.seconds_left = (double)NAN};
    int known = 0, unknown = 0;
    double seconds = 0, steps = 0;
    while (query_next(&q)) {
        const char *state = query_peek(&q, "status");
        bool failed = strcmp(state, "failed") == 0 || strcmp(state, "diverged") == 0;
        double step = query_real(&q, "step"), of = query_real(&q, "steps");
        double took = query_real(&q, "seconds");
        t->planned++;
        t->done += strcmp(state, "done") == 0;
        t->running += strcmp(state, "running") == 0;
        t->failed += failed;
        /* Steps that will not be made are not awaited. */
        if (failed) continue;
        /* A run tells how many steps it has only once it began. */
        if (!(of > 0)) {
            unknown++;
            continue;
        }
        known++;
        t->steps += of;
        t->steps_done += isfinite(step) ? step : 0;
        /* Only runs that say both make up the pace. */
        if (isfinite(took) && isfinite(step)) {
            seconds += took;
            steps += step;
        }
    }
    /* What is neither of the others, so that the numbers of the sentence add up. */
    t->waiting = t->planned - t->done - t->running - t->failed;
    /* Runs that have not told how long they are count as the others on average; what is left
     * goes on at the pace of all steps so far, as many at a time as now. */
    if (known > 0) t->steps += unknown * t->steps / known;
    if (steps > 0) {
        /*   left = steps to make * (seconds / steps of all so far) / runs at a time */
        t->seconds_left = (t->steps - t->steps_done) * seconds / steps / MAX(t->running, 1);
    }
    return query_close(&q);
}

/* States that no run is in are not named. Without a running one no time is told: nothing says when
 * it goes on. */
void status_sentence(char text[256], const status_totals *t)
{
    int n = snprintf(text, 256, "%d of %d runs done", t->done, t->planned);
    if (t->running) n += snprintf(text + n, (size_t)(256 - n), ", %d running", t->running);
    if (t->waiting) n += snprintf(text + n, (size_t)(256 - n), ", %d waiting", t->waiting);
    if (t->failed) n += snprintf(text + n, (size_t)(256 - n), ", %d failed", t->failed);
    /* Nothing is left, or nothing is known of how much. */
    if (t->done + t->failed == t->planned || !(t->steps > 0)) return;
    n += snprintf(text + n, (size_t)(256 - n), "; %.0f %% of all steps",
                  100 * t->steps_done / t->steps);
    if (!isfinite(t->seconds_left) || t->running == 0) return;
    long long left = llround(t->seconds_left);
    snprintf(text + n, (size_t)(256 - n), ", about %lld:%02lld:%02lld left", left / 3600,
             left / 60 % 60, left % 60);
}

/* NaN is null: not known. */
json_t *status_json(const status_totals *t, const char *experiment)
{
    return json_pack("{s:s, s:i, s:i, s:i, s:i, s:i, s:o, s:o, s:o}", "experiment", experiment,
                     "planned", t->planned, "done", t->done, "running", t->running, "waiting",
                     t->waiting, "failed", t->failed, "steps", json_finite(t->steps), "steps_done",
                     json_finite(t->steps_done), "seconds_left", json_finite(t->seconds_left));
}
