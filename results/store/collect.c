#include "results/store/collect.h"

#include <stdio.h>
#include <string.h>

#include "core/base/file.h"
#include "results/store/collect_run.h"

static const double WAIT_SECONDS = 30, READER_WAIT_SECONDS = 2;

/* INSERT OR REPLACE with as many places as there are columns named. */
static sqlite3_stmt *prepare_put(collector *c, const char *table, const char *columns, err *e)
{
    char places[256] = "?", sql[1024];
    size_t n = 1;
    for (const char *comma = strchr(columns, ','); comma; comma = strchr(comma + 1, ',')) {
        n += (size_t)snprintf(places + n, sizeof places - n, ", ?");
    }
    snprintf(sql, sizeof sql, "INSERT OR REPLACE INTO %s (%s) VALUES (%s)", table, columns, places);
    return store_prepare(c->db, sql, e);
}

/* The order of the columns is that of the binding in collect_run.c and collect_lines.c. */
static bool prepare_all(collector *c, err *e)
{
    c->stamp_get = store_prepare(c->db, "SELECT stamp FROM collected WHERE path = ?", e);
    c->run = store_prepare(c->db, collect_run_sql(c->scratch), e);
    if (!c->stamp_get || !c->run) return false;
    const struct {
        sqlite3_stmt **statement;
        const char *table, *columns;
    } list[] = {
        {&c->stamp_set, "collected", "path, stamp"},
        {&c->library, "library", "run, name, version"},
        {&c->step, "step", "run, step, tokens, seconds"},
        {&c->metric, "metric", "run, step, layer, name, value"},
        {&c->evaluation, "evaluation",
         "evaluation, run, step, tokens_seen, split, final, nats, tokens, bytes, words, seconds, "
         "tokens_per_second, protocol, losses, flops_per_token, anon_bytes, dynamic_rate, "
         "dynamic_decay"},
        {&c->evaluation_metric, "evaluation_metric", "evaluation, layer, name, value"},
        {&c->document, "document", "evaluation, document, name, nats, tokens, bytes, words"},
        {&c->slice, "slice", "evaluation, kind, low, high, part, tokens, nats"},
        {&c->recall, "recall", "evaluation, distance, answers, correct, nats"},
        {&c->artefact, "artefact", "run, path, kind, step, bytes, sha256"},
        {&c->experiment, "experiment",
         "experiment, description, spec_file, spec_text, baseline, created_at"},
        {&c->plan, "plan", "experiment, position, run, variant, label, seed, baseline"},
        {&c->axis, "axis", "experiment, label, position, axis, value"}};
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        *list[i].statement = prepare_put(c, list[i].table, list[i].columns, e);
        if (!*list[i].statement) return false;
    }
    return true;
}

static void finalize_all(collector *c)
{
    sqlite3_stmt *const all[] = {
        c->stamp_get, c->stamp_set, c->run,        c->library,           c->step,
        c->metric,    c->document,  c->evaluation, c->artefact,          c->experiment,
        c->plan,      c->axis,      c->slice,      c->evaluation_metric, c->recall};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        sqlite3_finalize(all[i]);
    }
}

/* ---- experiment records ---- */

static bool put_planned(collector *c, const char *name, int position, const json_t *run, err *e)
{
    const char *id = json_get_text(run, "run"), *variant = json_get_text(run, "variant");
    const char *label = json_get_text(run, "label"), *axis;
    if (!id || !variant || !label)
        return err_set(e, "run %d has no id, variant or label", position);
    collect_rows_bind_text(c->plan, 1, name);
    sqlite3_bind_int(c->plan, 2, position);
    collect_rows_bind_text(c->plan, 3, id);
    collect_rows_bind_text(c->plan, 4, variant);
    collect_rows_bind_text(c->plan, 5, label);
    sqlite3_bind_int64(c->plan, 6, json_get_int(run, "seed", 0));
    sqlite3_bind_int(c->plan, 7, json_is_true(json_object_get(run, "baseline")));
    if (!collect_rows_put(c, c->plan, e)) return false;
    int axes = 0;
    json_t *value;
    json_object_foreach(json_object_get(run, "axes"), axis, value)
    {
        collect_rows_bind_text(c->axis, 1, name);
        collect_rows_bind_text(c->axis, 2, label);
        sqlite3_bind_int(c->axis, 3, axes++);
        collect_rows_bind_text(c->axis, 4, axis);
        collect_rows_bind_text(c->axis, 5, json_is_string(value) ? json_string_value(value) : "");
        if (!collect_rows_put(c, c->axis, e)) return false;
    }
    return true;
}

static bool put_experiment(collector *c, const json_t *x, err *e)
{
    static const char *const keys[] = {"name",      "description", "spec_file",
                                       "spec_text", "baseline",    "created_at"};
    const char *name = json_get_text(x, "name");
    if (!name) return err_set(e, "has no name; run the experiment again");
    /* Replacing the row deletes its plan and axes, which follow. */
    for (int i = 0; i < 6; i++) {
        const char *text = json_get_text(x, keys[i]);
        collect_rows_bind_text(c->experiment, i + 1, text || i == 4 ? text : "");
    }
    if (!collect_rows_put(c, c->experiment, e)) return false;
    size_t i;
    json_t *run;
    json_array_foreach(json_object_get(x, "runs"), i, run)
    {
        if (!put_planned(c, name, (int)i, run, e)) return false;
    }
    return true;
}

static bool collect_experiment(collector *c, const char *file, bool *fresh, err *e)
{
    char inner[FILE_PATH_BYTES], path[FILE_PATH_BYTES];
    snprintf(inner, sizeof inner, "experiments/%s", file);
    if (!collect_rows_changed(c, inner, "", fresh, e)) return false;
    if (!*fresh) return true;
    if (!file_join(path, c->out, inner, e)) return false;
    json_t *x = json_read(path, e);
    bool ok = x && (put_experiment(c, x, e) || err_prefix(e, "%s", path));
    json_decref(x);
    return ok;
}

/* ---- folders ---- */

typedef bool (*collect_one)(collector *c, const char *name, bool *fresh, err *e);

/* Collects an entry of a folder as a whole or not at all. An unreadable one is counted in r; false
 * only if the database cannot be written. */
static bool collect_entry(collector *c, const char *name, collect_one one, int *fresh_count,
                          collect_report *r, err *e)
{
    bool fresh = false;
    err why = {0};
    if (!store_exec(c->db, "SAVEPOINT entry", e)) return false;
    if (one(c, name, &fresh, &why)) {
        *fresh_count += fresh;
        return store_exec(c->db, "RELEASE entry", e);
    }
    if (r->unreadable++ == 0) snprintf(r->why, sizeof r->why, "%s", why.text);
    int code = sqlite3_errcode(store_db(c->db)) & 0xff;
    if (code == SQLITE_FULL || code == SQLITE_IOERR || code == SQLITE_READONLY) {
        return err_set(e, "%s", why.text);
    }
    return store_exec(c->db, "ROLLBACK TO entry; RELEASE entry", e);
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n > m && strcmp(text + n - m, end) == 0;
}

/* Every entry whose name ends with `suffix`. A missing folder has none. */
static bool collect_folder(collector *c, const char *folder, const char *suffix, collect_one one,
                           int *seen, int *fresh, collect_report *r, err *e)
{
    char path[FILE_PATH_BYTES];
    if (!file_join(path, c->out, folder, e)) return false;
    if (!file_is_folder(path)) return true;
    arena *names_memory = arena_new(1 << 16);
    const char *const *names;
    int64_t count;
    bool ok = file_list(path, names_memory, &names, &count, e);
    for (int64_t i = 0; ok && i < count; i++) {
        if (*suffix && !ends_with(names[i], suffix)) continue;
        ++*seen;
        ok = collect_entry(c, names[i], one, fresh, r, e);
    }
    arena_free(names_memory);
    return ok;
}

/* e of the outside world: nothing here at all. */
static bool check_out(const char *out, err *e)
{
    return file_is_folder(out) ||
           err_set(e,
                   "%s: there are no results; loci run makes them, --out or LOCI_OUT names another "
                   "folder",
                   out);
}

static bool collect_waiting(collect_report *r, const char *out, bool rebuild, double seconds,
                            bool *busy, err *e)
{
    *r = (collect_report){0};
    if (busy) *busy = false;
    if (!check_out(out, e)) return false;
    store *db = store_open_writer(out, rebuild, seconds, busy, e);
    if (!db) return false;
    collector c = {.db = db, .out = out, .scratch = arena_new(1 << 20)};
    bool ok = prepare_all(&c, e) &&
              collect_folder(&c, "experiments", ".json", collect_experiment, &r->experiments_seen,
                             &r->experiments, r, e) &&
              collect_folder(&c, "runs", "", collect_run, &r->runs_seen, &r->runs, r, e);
    finalize_all(&c);
    arena_free(c.scratch);
    if (ok) return store_close_writer(db, e);
    store_close(db);
    return false;
}

bool collect(collect_report *r, const char *out, bool rebuild, err *e)
{
    return collect_waiting(r, out, rebuild, WAIT_SECONDS, NULL, e);
}

store *collect_and_open(const char *out, err *note, err *e)
{
    collect_report r;
    err why = {0};
    bool busy;
    if (note) note->text[0] = 0;
    if (!check_out(out, e)) return NULL;
    if (!collect_waiting(&r, out, false, READER_WAIT_SECONDS, &busy, &why)) {
        store *s = store_open_reader(out, NULL);
        /* Without a database, why there is none says more than that there is none. */
        if (!s) {
            err_set(e, "%s", why.text);
        } else if (busy) {
            err_set(note, "another process is collecting: the figures may be older than the runs");
        } else {
            err_set(note, "the figures may be older than the runs: %s", why.text);
        }
        return s;
    }
    if (r.unreadable > 0) {
        err_set(note, "%d folders were left out; the first: %s", r.unreadable, r.why);
    }
    return store_open_reader(out, e);
}
