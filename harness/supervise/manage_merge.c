#include "harness/supervise/manage_merge.h"

#include <stdio.h>
#include <string.h>

#include "harness/run/notes.h"
#include "harness/run/run_folder.h"
#include "harness/run/run_status.h"
#include "harness/supervise/manage_names.h"

/* Folders come from anywhere: another machine's, an archive of a paper's. Nothing in them may lead
 * out of the folder (links are refused) or stand for what is here already: a finished run is never
 * replaced, nor is one that goes on here, since a run of the same id was made from the same spec
 * and seed, and ours is as good.
 *
 * Runs come first, records after them: killed in between, runs that nobody plans yet are here,
 * which the next merge finds and keeps; a record whose runs are missing would show them as
 * planned. */

static bool copy_tree(arena *a, const char *from, const char *to, err *e)
{
    const char *const *names;
    int64_t count;
    char source[FILE_PATH_BYTES], target[FILE_PATH_BYTES];
    bool ok = file_make_folders(to, e) && file_list(from, a, &names, &count, e);
    for (int64_t i = 0; ok && i < count; i++) {
        ok = file_join(source, from, names[i], e) && file_join(target, to, names[i], e);
        /* Its holder is a process elsewhere; here it would look like one that beats no more. */
        if (!ok || strcmp(names[i], "lock") == 0) continue;
        /* A link in what is copied would bring in a file of this machine. */
        ok = file_refuse_link(source, e);
        if (!ok) break;
        ok =
            file_is_folder(source) ? copy_tree(a, source, target, e) : file_copy(source, target, e);
    }
    return ok;
}

/* What is said of a run there is added to what is said here. */
static bool unite_notes(const char *to, const char *from, err *e)
{
    char ours[FILE_PATH_BYTES], theirs[FILE_PATH_BYTES];
    return file_join(ours, to, NOTES_FILE, e) && file_join(theirs, from, NOTES_FILE, e) &&
           notes_unite(ours, theirs, e);
}

/* Copied beside, then put in place: a half copied run is never seen. */
static bool bring_run(manage_report *r, arena *a, const char *out, const char *from, const char *id,
                      err *e)
{
    char source[FILE_PATH_BYTES], target[FILE_PATH_BYTES], fresh[FILE_PATH_BYTES], name[256];
    run_status theirs, ours;
    snprintf(name, sizeof name, "merging-%.200s", id);
    if (!run_folder_path(source, from, id, e) || !run_folder_path(target, out, id, e) ||
        !file_join(fresh, out, name, e) || !run_status_read(&theirs, source, e) ||
        !run_status_read(&ours, target, e)) {
        return false;
    }
    /* Done is worth more than all else; short of that, ours stays unless there is none. */
    bool further = theirs.state == RUN_DONE ? ours.state != RUN_DONE
                                            : ours.state == RUN_PLANNED && !file_is_folder(target);
    /* What people say of a run is worth bringing all the same. */
    if (!further) return !file_is_folder(target) || unite_notes(target, source, e);
    /* Somebody writes there: half of it would be old, half of it new. */
    if (run_folder_locked(source) || run_folder_locked(target)) {
        r->kept++;
        return true;
    }
    /* fresh may be left from a merge that was killed. */
    if (!file_remove_tree(fresh, e) || !copy_tree(a, source, fresh, e) ||
        !unite_notes(fresh, target, e) || !file_remove_tree(target, e)) {
        return false;
    }
    char runs[FILE_PATH_BYTES];
    if (!file_own_folder(runs, out, "runs", e)) return false;
    /* fresh lies in OUT, on the same file system: a rename, not a copy. */
    if (!file_rename(fresh, target, e)) return false;
    r->runs++;
    return true;
}

/* Runs of their record that ours lacks are added to ours. */
static bool unite_records(manage_report *r, const char *ours, const char *theirs, err *e)
{
    json_auto_t *x = json_read(ours, e), *y = x ? json_read(theirs, e) : NULL;
    json_t *run;
    json_auto_t *known = json_object();
    /* Ours decides on everything but the list of runs: baseline, spec and claims stay as they are
     * here. */
    bool ok = y && manage_names_planned(known, ours, e), any = false;
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

bool manage_merge(manage_report *r, const char *out, const char *from, err *e)
{
    *r = (manage_report){0};
    char folder[FILE_PATH_BYTES], inner[512], ours[FILE_PATH_BYTES], theirs[FILE_PATH_BYTES];
    const char *const *names;
    int64_t count;
    if (!file_join(folder, from, "runs", e)) return false;
    if (!file_is_folder(folder)) return err_set(e, "%s: is no folder of results", from);
    arena_auto *a = arena_new(1 << 16);
    bool ok = manage_names_runs(from, a, &names, &count, e);
    for (int64_t i = 0; ok && i < count; i++) {
        ok = bring_run(r, a, out, from, names[i], e);
    }
    ok = ok && manage_names_experiments(from, a, &names, &count, e) &&
         file_own_folder(folder, out, "experiments", e);
    for (int64_t i = 0; ok && i < count; i++) {
        snprintf(inner, sizeof inner, "experiments/%.400s", names[i]);
        ok = file_join(ours, out, inner, e) && file_join(theirs, from, inner, e);
        ok = ok && file_refuse_link(theirs, e);
        ok = ok && bring_notes(out, from, names[i], e);
        if (!ok) break;
        if (file_exists(ours)) {
            ok = unite_records(r, ours, theirs, e);
        } else {
            ok = file_copy(theirs, ours, e);
            r->experiments++;
        }
    }
    return ok;
}
