/* A run folder, file by file. A file is read again when its stamp (size, time of the
 * last change, inode) is another than recorded; its rows are then replaced.
 *
 * What a folder says is believed as long as its worker holds the lock: half-written files are
 * normal then. Of a folder that nobody works on, every file must be whole, and where one is not the
 * run is shown as interrupted without any figure: a table with the half of an evaluation that
 * survived would be wrong, and nobody could see it. Where only its past has gaps (DAMAGE_PAST) a
 * finished run counts without them, and each collection tells so. Looking for damage reads all
 * lines, so it is done only when something of the folder changed. */
#include "results/store/collect_run.h"

#include <string.h>

#include "core/base/file.h"
#include "core/base/one_line.h"
#include "results/store/collect_inspect.h"
#include "results/store/collect_lines.h"
#include "results/store/collect_notes.h"
#include "results/store/query.h"
#include "results/store/run_damage.h"

/* ---- plan.json, run.json, status.json ---- */

typedef enum source { PLAN, RUN, STATUS, SPEED, FINAL, SOURCES } source;
static const char *const NAMES[SOURCES] = {"plan.json", "run.json", "status.json", "speed.json",
                                           "final.json"};

/* Which file the columns of the table `run` are from, but for those that put_run sets: run.json has
 * all others. NULL ends each list. A key of the same name in another file (tokens: trained ones in
 * status.json) must not get in. */
static const char *const COLUMNS[SOURCES][12] = {
    [PLAN] = {"command", NULL},
    [RUN] = {NULL},
    [STATUS] = {"kind", "started_at", "ended_at", "step", "steps", "tokens", "train_seconds",
                "tokens_per_second", "peak_rss_bytes", "peak_anon_bytes", NULL},
    [SPEED] = {"alone_tokens_per_second", "alone_threads", "alone_at", NULL},
    [FINAL] = {NULL}};

/* Deleted first: a run that goes on elsewhere may have fewer. */
static bool put_libraries(collector *c, const char *id, const json_t *run, err *e)
{
    if (!collect_rows_delete(c, "library", id, "1", e)) return false;
    collect_table *t = collect_rows_table(c, "library", e);
    const char *name;
    json_t *version;
    json_object_foreach(json_object_get(run, "versions"), name, version)
    {
        if (!json_is_string(version)) continue;
        collect_rows_text(t, "run", id);
        collect_rows_text(t, "name", name);
        collect_rows_value(t, "version", version);
        if (!collect_rows_put(c, t, e)) return false;
    }
    return true;
}

/* The next collection, too, tells what is missing. */
static bool tell_again(collector *c, const char *id, const char *name, err *e)
{
    char inner[FILE_PATH_BYTES];
    snprintf(inner, sizeof inner, "runs/%s/%s", id, name);
    return collect_rows_again(c, inner, e);
}

/* The end of log.txt, whole lines, of a run that did not end well; else NULL. The end is where a
 * failure says why; of a run that ended well nobody asks, and the database stays small. One that
 * cannot be read is told: no figure is missing. */
static const char *log_tail(collector *c, const char *folder, const char *status)
{
    enum { TAIL = 4000 };
    char path[FILE_PATH_BYTES];
    size_t bytes;
    if (!status || strcmp(status, "done") == 0 || strcmp(status, "running") == 0) return NULL;
    if (!file_join(path, folder, "log.txt", NULL) || !file_exists(path)) return NULL;
    err why;
    const char *text = file_read_arena(c->scratch, path, &bytes, &why);
    if (!text && !c->damage[0]) snprintf(c->damage, sizeof c->damage, "%s", why.text);
    if (!text || bytes == 0) return NULL;
    if (bytes <= TAIL) return text;
    const char *line = strchr(text + bytes - TAIL, '\n');
    return line ? line + 1 : text + bytes - TAIL;
}

/* damage: what is wrong with its files; NULL: nothing. */
static bool put_run(collector *c, const char *id, const char *folder, json_t *const from[SOURCES],
                    bool locked, const char *damage, err *e)
{
    const char *variant = json_get_text(from[PLAN], "variant");
    if (!variant) return err_set(e, "plan.json: has no variant; plan the run again");
    const char *status = json_get_text(from[STATUS], "status");
    const char *reason = json_get_text(from[STATUS], "reason");
    /* A process that is killed cannot write its end. */
    if (status && strcmp(status, "running") == 0 && !locked) {
        status = "interrupted";
        reason = "its process was killed";
    }
    if (damage) {
        status = "interrupted";
        reason = damage;
    }
    bool told = c->damage[0];
    const char *log = log_tail(c, folder, status);
    if (!told && c->damage[0] && !tell_again(c, id, NAMES[STATUS], e)) return false;
    collect_table *t = collect_rows_table(c, "run", e);
    /* run.json first; what other files know better overrides it below. */
    collect_rows_object(t, from[RUN]);
    collect_rows_text(t, "run", id);
    collect_rows_text(t, "variant", variant);
    collect_rows_int(t, "seed", json_get_int(from[PLAN], "seed", 0));
    /* Without status.json nothing was started. */
    collect_rows_text(t, "status", status ? status : "planned");
    char sentence[2 * ERR_TEXT_BYTES]; /* as everything that prints it expects */
    snprintf(sentence, sizeof sentence, "%s", reason ? reason : "");
    one_line(sentence, sizeof sentence);
    collect_rows_text(t, "reason", reason ? sentence : NULL);
    collect_rows_value(t, "spec", json_object_get(from[PLAN], "spec"));
    collect_rows_text(t, "log", log);
    for (int i = 0; i < SOURCES; i++) {
        for (const char *const *column = COLUMNS[i]; *column; column++) {
            collect_rows_value(t, *column, json_object_get(from[i], *column));
        }
    }
    /* Names of run.json, of another sitting. */
    collect_rows_text(t, "alone_host", json_get_text(from[SPEED], "host"));
    collect_rows_text(t, "alone_cpu", json_get_text(from[SPEED], "cpu"));
    return collect_rows_put(c, t, e) && put_libraries(c, id, from[RUN], e);
}

/* What the file says, read ahead or just now. NULL and e: it cannot be read. */
static json_t *said(collector *c, const char *folder, const char *name, err *e)
{
    char path[FILE_PATH_BYTES];
    json_t *ahead = collect_rows_said(c, name);
    if (ahead || !file_join(path, folder, name, e)) return ahead;
    return json_read(path, e);
}

/* The five files make one row, so that one that changed has all read. */
static bool collect_head(collector *c, const char *id, const char *folder, json_t *from[SOURCES],
                         bool *fresh, err *e)
{
    bool any = false, there[SOURCES];
    char path[FILE_PATH_BYTES];
    for (int i = 0; i < SOURCES; i++) {
        bool changed;
        snprintf(path, sizeof path, "runs/%s/%s", id, NAMES[i]);
        if (!collect_rows_changed(c, path, &changed, e)) return false;
        any = any || changed;
        there[i] = c->there;
    }
    if (!any) return true;
    *fresh = true;
    for (int i = 0; i < SOURCES; i++) {
        if (there[i] && !(from[i] = said(c, folder, NAMES[i], e))) return false;
    }
    return put_run(c, id, folder, from, c->reading->locked, NULL, e);
}

/* ---- the folder ---- */

/* The files that the manifest of a checkpoint folder names. The hashes are those of the manifest;
 * to hash gigabytes again for each collection would not do. */
static bool put_manifest(collector *c, const char *id, const char *folder, const char *checkpoint,
                         err *e)
{
    char path[FILE_PATH_BYTES], name_of[300];
    snprintf(name_of, sizeof name_of, "%s/manifest.json", checkpoint);
    if (!file_join(path, folder, name_of, e)) return false;
    if (!file_exists(path)) return true;
    err why = {0};
    json_auto_t *manifest = said(c, folder, name_of, &why);
    json_t *file;
    bool ok = manifest != NULL;
    /* No figure is of a model: without it a finished run is what it was, which is told, and it is
     * tried again the next time. What cannot go on without is found by who looks for damage. */
    if (!ok) {
        snprintf(c->damage, sizeof c->damage, "%s", why.text);
        snprintf(path, sizeof path, "runs/%s/checkpoint/manifest.json", id);
        return collect_rows_again(c, path, e);
    }
    const char *name;
    json_object_foreach(json_object_get(manifest, "files"), name, file)
    {
        const char *hash = json_get_text(file, "sha256");
        const char *kind = strncmp(name, "model", 5) == 0 ? "model" : "train";
        char inner[FILE_PATH_BYTES];
        snprintf(inner, sizeof inner, "%s/%s", checkpoint, name);
        ok = ok && collect_rows_artefact(c, id, inner, kind, json_object_get(manifest, "step"),
                                         json_get_int(file, "bytes", 0), hash ? hash : "", e);
    }
    return ok;
}

/* The checkpoint to go on from, and those that were kept beside it. */
static bool collect_checkpoints(collector *c, const char *id, const char *folder, bool *fresh,
                                err *e)
{
    char path[FILE_PATH_BYTES];
    bool changed;
    const char *name;
    json_t *there;
    snprintf(path, sizeof path, "runs/%s/checkpoint/manifest.json", id);
    if (!collect_rows_changed(c, path, &changed, e)) return false;
    /* Kept ones come and go while something else of the folder changes, too. */
    if (!changed && !*fresh) return true;
    *fresh = true;
    json_auto_t *names = c->reading->names ? json_incref(c->reading->names)
                                           : run_reading_list(folder, c->scratch, e);
    /* Those of losses are put by evaluations' lines. */
    bool ok = names && collect_rows_delete(c, "artefact", id, "kind <> 'losses'", e);
    json_object_foreach(names, name, there)
    {
        bool kept = strncmp(name, "checkpoint-", 11) == 0;
        if (kept || strcmp(name, "checkpoint") == 0) {
            ok = ok && put_manifest(c, id, folder, name, e);
        }
    }
    return ok;
}

/* ---- damage ---- */

/* A plan in the place of one that cannot be read: what the experiments know of the run. Index
 * plan_run leads there. All experiments that plan the run say the same variant and seed: they are
 * what its name is made of. */
static json_t *planned_elsewhere(collector *c, const char *id, err *e)
{
    json_t *plan = NULL;
    query q = QUERY(c->db, e, "SELECT variant, seed FROM plan WHERE run = ?1 LIMIT 1", id);
    while (query_next(&q)) {
        plan = json_pack("{s:s, s:I}", "variant", query_peek(&q, "variant"), "seed",
                         (json_int_t)query_int(&q, "seed", 0));
    }
    return query_close(&q) ? plan : NULL;
}

/* Nothing of what was read before counts, and nothing is known of its files: once they are mended
 * all are read. What refers to an evaluation goes with it. What is no figure goes, too: how much of
 * it had been read before the damage is an accident, and made again the database has none of it. */
static bool forget_run(collector *c, const char *id, err *e)
{
    bool ok = collect_rows_delete(c, "step", id, "1", e) &&
              collect_rows_delete(c, "metric", id, "1", e) &&
              collect_rows_delete_evaluations(c, id, e) &&
              collect_rows_delete(c, "artefact", id, "1", e) &&
              collect_rows_delete(c, "library", id, "1", e) && collect_inspect_forget(c, id, e);
    /* Beginning with runs/ID/: an id is no pattern, whatever letters it has. */
    return ok && collect_rows_change(c,
                                     "DELETE FROM collected WHERE path >= 'runs/' || ?1 || '/' "
                                     "AND path < 'runs/' || ?1 || '0'",
                                     id, NULL, e);
}

/* Whatever of the five files can be read is kept, so that host, command and reason are still
 * told. */
static bool put_damaged(collector *c, const char *id, const char *folder, const char *why, err *e)
{
    json_t *from[SOURCES] = {NULL};
    char reason[2 * ERR_TEXT_BYTES], path[FILE_PATH_BYTES];
    /* Shown wherever the run is: what is wrong and what mends it. */
    snprintf(reason, sizeof reason, "damaged: %s; loci run mends it", why);
    for (int i = 0; i < SOURCES; i++) {
        if (!file_join(path, folder, NAMES[i], NULL) || !file_exists(path)) continue;
        from[i] = json_read(path, NULL);
    }
    if (!json_get_text(from[PLAN], "variant")) {
        json_decref(from[PLAN]);
        from[PLAN] = planned_elsewhere(c, id, e);
    }
    /* A run that nobody planned and whose own plan is gone has no variant: it is left out, and
     * named. */
    bool ok = from[PLAN] ? forget_run(c, id, e) && put_run(c, id, folder, from, false, reason, e)
                         : err_set(e, "%s", why);
    for (int i = 0; i < SOURCES; i++) {
        json_decref(from[i]);
    }
    return ok;
}

/* skipped: of lines that are damaged, see collector.
 * Artefacts before evaluations: the former delete all but the losses' rows, the latter put
 * these. */
static bool collect_files(collector *c, const char *id, const char *folder, json_t *from[SOURCES],
                          run_damage_known *known, err *skipped, bool *fresh, err *e)
{
    if (!collect_head(c, id, folder, from, fresh, e) ||
        !collect_checkpoints(c, id, folder, fresh, e)) {
        return false;
    }
    /* What is counted of lines depends on the last step: without a status that was read just now
     * they are counted by who looks for damage. */
    const json_t *record = json_object_get(from[RUN], "spec") ? from[RUN] : from[PLAN];
    c->own = run_damage_own_evals(record, json_get_int(from[STATUS], "step", 0));
    c->skipped = skipped;
    c->lines = from[STATUS] ? &known->metrics : NULL;
    bool ok = collect_lines_metrics(c, id, folder, fresh, e);
    c->lines = from[STATUS] ? &known->evals : NULL;
    ok = ok && collect_lines_evals(c, id, folder, fresh, e);
    c->lines = NULL;
    c->skipped = NULL;
    return ok && collect_inspect(c, id, folder, fresh, e);
}

/* The files' rows, its notes, and what is wrong with the folder. */
static bool collect_all(collector *c, const char *id, const char *folder, json_t *from[SOURCES],
                        bool *fresh, err *e)
{
    run_damage_known known = {.names = NAMES,
                              .objects = from,
                              .count = SOURCES,
                              .metrics = RUN_DAMAGE_NO_LINES,
                              .evals = RUN_DAMAGE_NO_LINES};
    char inner[FILE_PATH_BYTES], why[ERR_TEXT_BYTES];
    bool locked = c->reading->locked, noted = false;
    err skipped = {0};
    bool read = collect_files(c, id, folder, from, &known, &skipped, fresh, e);
    /* With a line less the run counts only where nothing but its past is damaged. */
    bool ok = read && (!skipped.text[0] || err_copy(e, &skipped));
    snprintf(inner, sizeof inner, "runs/%s/notes.jsonl", id);
    /* Of a damaged run, too: notes are no figures. What is wrong with the run is said first. */
    err untold;
    if (!collect_notes(c, "", id, inner, &noted, ok ? e : &untold)) ok = false;
    /* A failure under a lock is reported, and read again when the worker is done with the file. */
    if (locked || (ok && !*fresh)) {
        *fresh = *fresh || noted;
        if (ok || !read) return ok;
        /* It has gone on past the gap: lines are read as they are written, one at a time. */
        snprintf(c->damage, sizeof c->damage, "%s", skipped.text);
        return tell_again(c, id, "metrics.jsonl", e);
    }
    run_damage damage = run_damage_find_known(why, folder, &known);
    /* Where reading failed though every file is whole, e says why. */
    if (damage == DAMAGE_NONE) return ok;
    if (damage == DAMAGE_UNKNOWN) return err_set(e, "%s", why);
    *fresh = true;
    snprintf(c->damage, sizeof c->damage, "%s", why);
    if (damage == DAMAGE_PAST) return read && tell_again(c, id, "metrics.jsonl", e);
    return put_damaged(c, id, folder, why, e);
}

bool collect_run(collector *c, const char *id, bool *fresh, err *e)
{
    char inner[FILE_PATH_BYTES], folder[FILE_PATH_BYTES];
    snprintf(inner, sizeof inner, "runs/%s", id);
    *fresh = false;
    if (!file_join(folder, c->out, inner, e)) return false;
    const run_file *plan = run_reading_file(c->reading, NAMES[PLAN]);
    if (plan && !plan->stamp.there) return true; /* a folder that was only just made */
    arena_reset(c->scratch);
    json_t *from[SOURCES] = {NULL};
    bool ok = collect_all(c, id, folder, from, fresh, e);
    for (int i = 0; i < SOURCES; i++) {
        json_decref(from[i]);
    }
    return ok;
}
