#include "harness/supervise/manage_merge.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file_lock.h"
#include "harness/run/experiment_lock.h"
#include "harness/run/notes.h"
#include "harness/run/run_folder.h"
#include "harness/run/run_status.h"
#include "harness/supervise/manage_copies.h"
#include "harness/supervise/manage_holders.h"
#include "harness/supervise/manage_names.h"
#include "results/store/experiment.h"
#include "results/store/run_damage.h"

/* Folders come from anywhere: another machine's, an archive of a paper's. Nothing in them may lead
 * out of the folder (links are refused) or stand for what is here already: a finished run is never
 * replaced, nor is one that goes on here, since a run of the same id was made from the same spec
 * and seed, and ours is as good.
 *
 * Runs come first, records after them: killed in between, runs that nobody plans yet are here,
 * which the next merge finds and keeps; a record whose runs are missing would show them as
 * planned. */

static bool copy_tree(const char *from, const char *to, int depth, err *e)
{
    char target[FILE_PATH_BYTES];
    if (depth > FILE_DEPTH) return err_set(e, "%s: folders are nested too deeply to copy", from);
    if (!file_make_folders(to, e)) return false;
    bool ok = true;
    file_walk w = file_walk_begin(from, e);
    while (ok && file_walk_next(&w)) {
        /* Its holder is a process elsewhere; here it would look like one that beats no more. */
        if (strcmp(w.name, "lock") == 0) continue;
        /* A link in what is copied would bring in a file of this machine. */
        ok = file_join(target, to, w.name, e) && file_refuse_link(w.path, e) &&
             (file_is_folder(w.path) ? copy_tree(w.path, target, depth + 1, e)
                                     : file_copy(w.path, target, e));
    }
    return file_walk_end(&w) && ok;
}

/* What is said of a run there is added to what is said here. */
static bool unite_notes(const char *to, const char *from, err *e)
{
    char ours[FILE_PATH_BYTES], theirs[FILE_PATH_BYTES];
    return file_join(ours, to, NOTES_FILE, e) && file_join(theirs, from, NOTES_FILE, e) &&
           notes_unite(ours, theirs, e);
}

/* Whether theirs is to come here. Done is worth more than all else; short of that, ours stays
 * unless there is none. */
static bool is_further(bool *further, const char *source, const char *target, err *e)
{
    char plan[FILE_PATH_BYTES];
    run_status theirs, ours;
    if (!file_join(plan, target, "plan.json", e) || !run_status_read(&theirs, source, e) ||
        !run_status_read(&ours, target, e)) {
        return false;
    }
    /* A whole past fills the gap of ours; records that are mended here are no reason to take one
     * that has a gap. */
    bool complete = (ours.state == RUN_DONE && !ours.gap[0]) ||
                    ((ours.state == RUN_DONE || ours.ended) && theirs.gap[0]);
    *further =
        theirs.state == RUN_DONE ? !complete : ours.state == RUN_PLANNED && !file_exists(plan);
    return true;
}

/* Asked once more with our lock in hand, under which a status is read as it is written: a worker
 * may have ended the run before the lock was had. */
static bool was_finished(const char *target)
{
    run_status ours;
    err why;
    char damage[ERR_TEXT_BYTES];
    return run_status_read(&ours, target, &why) && ours.state == RUN_DONE &&
           run_damage_find(damage, target) == DAMAGE_NONE;
}

/* What lies in `fresh`, but for notes, takes the place of what is in the folder, but for its lock
 * and notes. The plan goes first and comes last: killed in between, there is a folder without one,
 * which is no run to anybody, and the next merge brings it again. */
static bool put_in_place(arena *a, const char *fresh, const char *target, err *e)
{
    static const char *const KEPT[] = {"lock", NOTES_FILE, NULL};
    static const char PLAN[] = "plan.json";
    const char *const *names;
    int64_t count = 0;
    char from[FILE_PATH_BYTES], to[FILE_PATH_BYTES];
    bool ok = file_join(to, target, PLAN, e) && file_remove(to, e) &&
              run_folder_clear(target, KEPT, e) && file_list(fresh, a, &names, &count, e);
    /* The plan in a second round. */
    for (int64_t i = 0; ok && i < 2 * count; i++) {
        const char *name = names[i % count];
        bool last = strcmp(name, PLAN) == 0;
        if (last != (i >= count) || strcmp(name, NOTES_FILE) == 0) continue;
        ok = file_join(from, fresh, name, e) && file_join(to, target, name, e) &&
             file_rename(from, to, e);
    }
    return ok && file_remove_tree(fresh, e);
}

/* Copied beside, which may take long and end anywhere, then put in place. Both folders are locked:
 * nobody begins to train in one of them meanwhile. */
static bool replace_run(manage_report *r, arena *a, const char *out, const char *source,
                        const char *target, const char *id, err *e)
{
    char fresh[FILE_PATH_BYTES], name[256];
    snprintf(name, sizeof name, "merging-%.200s", id);
    if (!file_join(fresh, out, name, e) || !file_make_folders(target, e)) return false;
    int lock = run_folder_lock(target, e);
    if (lock == RUN_FOLDER_BUSY || (lock >= 0 && was_finished(target))) {
        r->kept++;
        if (lock >= 0) close(lock);
        return true;
    }
    /* fresh may be left from a merge that was killed. */
    bool copied = lock >= 0 && file_remove_tree(fresh, e) && copy_tree(source, fresh, 0, e);
    if (lock >= 0 && !copied) file_remove_tree(fresh, NULL);
    bool ok = copied && unite_notes(target, source, e) && put_in_place(a, fresh, target, e);
    if (lock >= 0) close(lock);
    r->runs += ok;
    return ok;
}

static bool bring_run(manage_report *r, arena *a, const char *out, const char *from, const char *id,
                      err *e)
{
    char source[FILE_PATH_BYTES], target[FILE_PATH_BYTES], runs[FILE_PATH_BYTES];
    char theirs[FILE_PATH_BYTES];
    bool further;
    if (!run_folder_path(source, from, id, e) || !run_folder_path(target, out, id, e)) return false;
    if (!manage_is_run(r, source)) return true;
    if (!file_join(theirs, source, "lock", e) || !is_further(&further, source, target, e)) {
        return false;
    }
    /* What people say of a run is worth bringing all the same. */
    if (!further) return !file_is_folder(target) || unite_notes(target, source, e);
    /* Shared, as the folder may be somebody's that is only read; where there is none to take, the
     * run has never been begun, or was copied here. */
    int lock = file_lock_shared(theirs);
    /* Somebody writes there: half of it would be old, half of it new. */
    if (lock == FILE_LOCK_BUSY) {
        r->kept++;
        return true;
    }
    bool ok =
        file_own_folder(runs, out, "runs", e) && replace_run(r, a, out, source, target, id, e);
    if (lock >= 0) close(lock);
    return ok;
}

/* One name may stand for two experiments, here and there: then their runs must not share a table.
 * False and e. */
static bool records_agree(const json_t *ours, const json_t *theirs, const char *path, err *e)
{
    err why;
    json_auto_t *known = json_object();
    return (experiment_runs_agree(known, json_object_get(ours, "runs"), &why) &&
            experiment_runs_agree(known, json_object_get(theirs, "runs"), &why)) ||
           err_set(e, "%s: %.1000s; loci mv gives one of the two experiments another name", path,
                   why.text);
}

/* Asked of all before anything is brought. */
static bool all_agree(arena *a, const char *out, const char *from, err *e)
{
    const char *const *names;
    int64_t count;
    char ours[FILE_PATH_BYTES], theirs[FILE_PATH_BYTES], inner[512];
    bool ok = manage_names_experiments(from, a, &names, &count, e);
    for (int64_t i = 0; ok && i < count; i++) {
        snprintf(inner, sizeof inner, "experiments/%.400s", names[i]);
        ok = file_join(ours, out, inner, e) && file_join(theirs, from, inner, e);
        if (!ok || !file_exists(ours)) continue;
        json_auto_t *x = json_read(ours, e), *y = x ? json_read(theirs, e) : NULL;
        ok = y && records_agree(x, y, theirs, e);
    }
    return ok;
}

/* Runs of their record that ours lacks are added to ours. */
static bool unite_records(manage_report *r, const char *ours, const char *theirs, err *e)
{
    json_auto_t *x = json_read(ours, e), *y = x ? json_read(theirs, e) : NULL;
    json_t *run;
    json_auto_t *known = json_object();
    /* Ours decides on everything but the list of runs: baseline, spec and claims stay as they are
     * here. */
    bool ok = y && records_agree(x, y, theirs, e) && manage_names_planned(known, ours, e);
    bool any = false;
    size_t i;
    json_array_foreach(json_object_get(y, "runs"), i, run)
    {
        const char *id = json_get_text(run, "run");
        if (!ok || !id || json_object_get(known, id)) continue;
        json_array_append(json_object_get(x, "runs"), run);
        any = true;
    }
    /* Nothing new: the file stays as it is, and its time too. */
    if (ok && any) {
        ok = json_write(ours, x, e);
        r->experiments++;
    }
    return ok;
}

/* file: NAME.json */
static bool bring_notes(const char *out, const char *from, const char *file, err *e)
{
    char name[FILE_PATH_BYTES], ours[FILE_PATH_BYTES], theirs[FILE_PATH_BYTES];
    snprintf(name, sizeof name, "%.*s", (int)(strlen(file) - strlen(".json")), file);
    return notes_of_experiment(ours, out, name, e) && notes_of_experiment(theirs, from, name, e) &&
           notes_unite(ours, theirs, e);
}

/* Under the records' lock: nobody renames, removes or records it anew in between. */
static bool bring_experiment(manage_report *r, const char *out, const char *from, const char *file,
                             err *e)
{
    char inner[512], ours[FILE_PATH_BYTES], theirs[FILE_PATH_BYTES];
    snprintf(inner, sizeof inner, "experiments/%.400s", file);
    if (!file_join(ours, out, inner, e) || !file_join(theirs, from, inner, e) ||
        !file_refuse_link(theirs, e) || !bring_notes(out, from, file, e)) {
        return false;
    }
    if (file_exists(ours)) return unite_records(r, ours, theirs, e);
    r->experiments++;
    return manage_copies_bring(out, from, file, e) && file_copy(theirs, ours, e);
}

/* But for those that somebody works on, here or there, on a mount that does not lock. */
static bool bring_runs(manage_report *r, arena *a, const char *out, const char *from, err *e)
{
    const char *const *names;
    int64_t count;
    char who[RUN_HOLDER_BYTES];
    if (!manage_names_runs(from, a, &names, &count, e)) return false;
    bool *here = ARENA_NEW(a, bool, count), *there = ARENA_NEW(a, bool, count);
    manage_holders(here, who, out, names, count);
    manage_holders(there, who, from, names, count);
    for (int64_t i = 0; i < count; i++) {
        if (here[i] || there[i]) {
            r->kept++;
        } else if (!bring_run(r, a, out, from, names[i], e)) {
            return false;
        }
    }
    return true;
}

static bool bring_experiments(manage_report *r, arena *a, const char *out, const char *from, err *e)
{
    const char *const *names;
    int64_t count;
    char folder[FILE_PATH_BYTES];
    bool ok = manage_names_experiments(from, a, &names, &count, e) &&
              file_own_folder(folder, out, "experiments", e);
    for (int64_t i = 0; ok && i < count; i++) {
        int lock = experiment_lock_records(out, e);
        ok = lock >= 0 && bring_experiment(r, out, from, names[i], e);
        if (lock >= 0) close(lock);
    }
    return ok;
}

bool manage_merge(manage_report *r, const char *out, const char *from, err *e)
{
    *r = (manage_report){0};
    char folder[FILE_PATH_BYTES];
    if (!file_join(folder, from, "runs", e)) return false;
    if (!file_is_folder(folder)) return err_set(e, "%s: is no folder of results", from);
    arena_auto *a = arena_new(1 << 16);
    /* Until the records name what is brought. */
    int runs = experiment_lock_runs(out, false, e);
    bool ok = runs >= 0 && all_agree(a, out, from, e) && bring_runs(r, a, out, from, e) &&
              bring_experiments(r, a, out, from, e);
    if (runs >= 0) close(runs);
    return ok;
}
