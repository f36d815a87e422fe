#include "results/store/collect.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/text.h"
#include "results/store/collect_entries.h"
#include "results/store/collect_notes.h"
#include "results/store/collect_run.h"
#include "results/store/experiment.h"

/* The collection is one transaction over everything that changed, and inside it each entry, a run
 * folder or an experiment's record, is put as a whole or not at all (collect_entries.c). So a
 * collector that is killed leaves the database as it was, and a folder that cannot be read is tried
 * again at the next collection, and nobody sees half of it.
 *
 * Records of experiments come before run folders: of a run whose plan is damaged, variant and seed
 * are taken from the plan of its experiments (collect_run.c).
 *
 * Every command that reads results begins here, so what has not changed has to cost next to
 * nothing: a stat and one look at `collected` for each file. Watching the folders instead (inotify)
 * would need a process that stays, and does not see what other machines write to a network file
 * system. */

/* `loci collect` has nothing better to do than to wait; a reader can show what is there. */
static const double WAIT_SECONDS = 30, READER_WAIT_SECONDS = 2;

/* ---- experiment records ---- */

/* The runs of one label say the same axes, and each puts them again in the same place: their key is
 * experiment, label and axis. `position` is the order in which the record names them. */
static bool put_axes(collector *c, const char *name, const char *label, const json_t *axes, err *e)
{
    const char *axis;
    json_t *value;
    int position = 0;
    collect_table *t = collect_rows_table(c, "axis", e);
    collect_rows_text(t, "experiment", name);
    collect_rows_text(t, "label", label);
    json_object_foreach((json_t *)(uintptr_t)axes, axis, value)
    {
        collect_rows_int(t, "position", position++);
        collect_rows_text(t, "axis", axis);
        collect_rows_text(t, "value", json_is_string(value) ? json_string_value(value) : "");
        if (!collect_rows_put(c, t, e)) return false;
    }
    return true;
}

/* What the table needs and only the run's own words can give is asked for; the rest may be missing
 * in a record of another version. */
static bool put_planned(collector *c, const char *name, int position, const json_t *run, err *e)
{
    const char *label = json_get_text(run, "label");
    if (!json_get_text(run, "run") || !json_get_text(run, "variant") || !label) {
        return err_set(e, "run %d has no id, variant or label", position);
    }
    collect_table *t = collect_rows_table(c, "plan", e);
    /* First what the record says, then what this program knows better: `seed` and `baseline` are
     * NOT NULL and of a type that the record need not have. */
    collect_rows_object(t, run);
    collect_rows_text(t, "experiment", name);
    collect_rows_int(t, "position", position);
    collect_rows_int(t, "seed", json_get_int(run, "seed", 0));
    collect_rows_int(t, "baseline", json_is_true(json_object_get(run, "baseline")));
    return collect_rows_put(c, t, e) && put_axes(c, name, label, json_object_get(run, "axes"), e);
}

/* Its hash and its words are kept as the record has them; who changes a claim after the fact
 * changes the record, and harness/run/claims_record.c marks that there. */
static bool put_claim(collector *c, const char *name, int position, const json_t *claim, err *e)
{
    collect_table *t = collect_rows_table(c, "claim", e);
    collect_rows_object(t, claim);
    collect_rows_text(t, "experiment", name);
    collect_rows_int(t, "position", position);
    /* A claim of other variants than those of which it was stated is another one. */
    const char *changed = json_get_text(claim, "changed");
    bool late = json_is_true(json_object_get(claim, "after_the_fact")) || (changed && *changed);
    collect_rows_int(t, "after_the_fact", late);
    collect_rows_text(t, "changed", changed ? changed : "");
    collect_rows_int(t, "withdrawn", json_is_true(json_object_get(claim, "withdrawn")));
    return collect_rows_put(c, t, e);
}

/* file: NAME.json. */
static bool put_experiment(collector *c, const char *file, const json_t *x, err *e)
{
    static const char *const texts[] = {"description", "spec_file", "spec_text", "created_at"};
    const char *name = json_get_text(x, "name");
    if (!name) return err_set(e, "has no name; run the experiment again");
    if (!experiment_name_is_good(name, e)) return false;
    /* A copy under another name would say what the experiment was when it was copied, and which of
     * the two is read last would decide. */
    if (strncmp(file, name, strlen(name)) != 0 || strcmp(file + strlen(name), ".json") != 0) {
        return err_set(e,
                       "is the record of experiment '%s': a copy, or a file that was renamed; put "
                       "it elsewhere (loci mv renames an experiment)",
                       name);
    }
    /* Its plan, axes and claims follow: a run that the experiment no longer plans leaves no row
     * behind. */
    if (!collect_rows_delete_inner(c, "experiment", "= ?1", name, e)) return false;
    collect_table *t = collect_rows_table(c, "experiment", e);
    collect_rows_text(t, "experiment", name);
    collect_rows_text(t, "baseline", json_get_text(x, "baseline"));
    for (int i = 0; i < 4; i++) {
        const char *text = json_get_text(x, texts[i]);
        collect_rows_text(t, texts[i], text ? text : "");
    }
    collect_rows_value(t, "spec", json_object_get(x, "spec"));
    if (!collect_rows_put(c, t, e)) return false;
    size_t i;
    json_t *run;
    err why;
    json_auto_t *known = json_object();
    if (!experiment_runs_agree(known, json_object_get(x, "runs"), &why)) {
        return err_set(e, "%.1000s; loci run with the spec that is meant records it anew",
                       why.text);
    }
    json_array_foreach(json_object_get(x, "runs"), i, run)
    {
        if (!put_planned(c, name, (int)i, run, e)) return false;
    }
    json_t *claim;
    json_array_foreach(json_object_get(x, "claims"), i, claim)
    {
        if (!put_claim(c, name, (int)i, claim, e)) return false;
    }
    return true;
}

/* True with *fresh false if the record has the stamp that was seen last. */
static bool collect_record(collector *c, const char *file, bool *fresh, err *e)
{
    char inner[FILE_PATH_BYTES], path[FILE_PATH_BYTES];
    snprintf(inner, sizeof inner, "experiments/%s", file);
    if (!collect_rows_changed(c, inner, fresh, e)) return false;
    if (!*fresh) return true;
    if (!file_join(path, c->out, inner, e)) return false;
    json_auto_t *x = json_read(path, e);
    /* The path before the words: what is wrong is found by it. */
    return x && (put_experiment(c, file, x, e) || err_prefix(e, "%s", path));
}

/* Notes are a file of their own, so that to add one does not touch the record, which is written by
 * runs. */
static bool collect_experiment(collector *c, const char *file, bool *fresh, err *e)
{
    char name[FILE_PATH_BYTES], notes[FILE_PATH_BYTES];
    snprintf(name, sizeof name, "%.*s", (int)(strlen(file) - strlen(".json")), file);
    snprintf(notes, sizeof notes, "experiments/%.300s.notes.jsonl", name);
    arena_reset(c->scratch);
    return collect_record(c, file, fresh, e) && collect_notes(c, name, "", notes, fresh, e);
}

/* ---- folders ---- */

bool collect_check_out(const char *out, err *e)
{
    return file_is_folder(out) ||
           err_set(e,
                   "%s: there are no results; loci run makes them, --out or LOCI_OUT names another "
                   "folder",
                   out);
}

/* One kind of entry, counted in r. */
static bool collect_kind(collector *c, collect_entries *x, collect_report *r, err *e)
{
    bool ok = collect_entries_all(c, x, e);
    if (r->unreadable == 0) snprintf(r->why, sizeof r->why, "%s", x->why);
    r->unreadable += x->unreadable;
    return ok;
}

/* `memory` holds the tables' columns, for as long as the collection; `scratch` a file's text, and
 * is given back for each entry, so that a thousand folders take no more memory than the largest. */
static bool collect_into(store *db, collect_report *r, const char *out, err *e)
{
    collector c = {
        .db = db, .out = out, .memory = arena_new(1 << 16), .scratch = arena_new(1 << 20)};
    collect_entries records = {
        .folder = "experiments", .suffix = ".json", .one = collect_experiment};
    collect_entries runs = {.folder = "runs", .suffix = "", .one = collect_run, .runs = true};
    bool ok = collect_rows_begin(&c, e) && collect_kind(&c, &records, r, e) &&
              collect_kind(&c, &runs, r, e);
    r->experiments_seen = records.seen;
    r->experiments = records.fresh;
    r->runs_seen = runs.seen;
    r->runs = runs.fresh;
    collect_rows_end(&c);
    arena_free(c.scratch);
    arena_free(c.memory);
    return ok;
}

/* Anything but a whole collection closes the database without a commit. */
static bool collect_waiting(collect_report *r, const char *out, bool rebuild, double seconds,
                            bool *busy, err *e)
{
    *r = (collect_report){0};
    if (busy) *busy = false;
    if (!collect_check_out(out, e)) return false;
    store *db = store_open_writer(out, rebuild, seconds, busy, e);
    if (!db) return false;
    if (collect_into(db, r, out, e)) return store_close_writer(db, e);
    store_close(db);
    return false;
}

bool collect(collect_report *r, const char *out, bool rebuild, err *e)
{
    return collect_waiting(r, out, rebuild, WAIT_SECONDS, NULL, e);
}

/* May this process bring the database up to date at all? Asked of the rights, not by trying: a
 * reader of somebody else's results leaves no trace in them. */
static bool may_write(const char *out)
{
    static const char *const files[] = {"loci.db", "loci.db.lock"};
    char path[FILE_PATH_BYTES];
    if (access(out, W_OK) != 0) return false;
    for (int i = 0; i < 2; i++) {
        if (!file_join(path, out, files[i], NULL)) return false;
        if (file_exists(path) && access(path, W_OK) != 0) return false;
    }
    return true;
}

/* Without a database that can be written. why: what was in the way. Somebody else's results,
 * read-only, are brought up to date in memory, and there is nothing to say. Who may write and could
 * not (a full disk) is told, since the next command will be as slow. Where even that fails the old
 * database is better than none, with a word that it may be old. */
static store *collect_privately(collect_report *r, const char *out, const err *why, err *note)
{
    *r = (collect_report){0};
    store *s = store_open_private(out, NULL);
    if (s && collect_into(s, r, out, NULL) && store_keep(s, NULL)) {
        if (may_write(out)) err_set(note, "the database is not brought up to date: %s", why->text);
        return s;
    }
    store_close(s);
    s = store_open_reader(out, NULL);
    if (s) err_set(note, "the figures may be older than the runs: %s", why->text);
    return s;
}

void collect_say_unreadable(err *words, const collect_report *r)
{
    bool one = r->unreadable == 1;
    err_set(words, "%d folder%s left out or damaged%s: %s", r->unreadable, one ? " is" : "s are",
            one ? "" : "; the first", r->why);
}

store *collect_and_open(const char *out, err *note, err *e)
{
    collect_report r;
    err why = {0};
    bool busy;
    store *s;
    if (note) note->text[0] = 0;
    if (!collect_check_out(out, e)) return NULL;
    if (collect_waiting(&r, out, false, READER_WAIT_SECONDS, &busy, &why)) {
        s = store_open_reader(out, e);
        /* The other process brings in what is new; to wait for it, or to do the same beside it,
         * would gain little. */
    } else if (busy) {
        s = store_open_reader(out, NULL);
        if (s) {
            err_set(note, "another process is collecting: the figures may be older than the runs");
        }
    } else {
        s = collect_privately(&r, out, &why, note);
    }
    /* Without a database, why there is none says more than that there is none. */
    if (!s && why.text[0]) err_copy(e, &why);
    /* One line at most, the one that matters more. */
    if (s && r.unreadable > 0 && !(note && note->text[0])) {
        collect_say_unreadable(note, &r);
    }
    return s;
}
