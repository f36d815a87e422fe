#include "harness/supervise/manage_merge.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file_lock.h"
#include "core/base/one_line.h"
#include "harness/run/claims_record.h"
#include "harness/run/experiment_lock.h"
#include "harness/run/notes.h"
#include "harness/run/run_folder.h"
#include "harness/run/run_status.h"
#include "harness/supervise/manage_copies.h"
#include "harness/supervise/manage_holders.h"
#include "harness/supervise/manage_names.h"
#include "harness/supervise/merge_evals.h"
#include "harness/supervise/merge_record.h"
#include "harness/supervise/merge_run.h"
#include "results/store/run_damage.h"

/* Folders come from anywhere: another machine's, an archive of a paper's. Nothing in them may lead
 * out of the folder (links are refused) or stand for what is here already: a whole finished run is
 * never replaced, nor is one that goes on here, since a run of the same id was made from the same
 * spec and seed, and ours is as good. One that is further there takes the place of ours, if it is
 * the same training (merge_run.h). What cannot be brought is told and left out, the rest comes.
 *
 * Runs come first, records after them: killed in between, runs that nobody plans yet are here,
 * which the next merge finds and keeps; a record whose runs are missing would show them as
 * planned. */

/* What is being done. */
typedef struct merging {
    manage_report *report;
    arena *memory;
    const char *out, *from;
    FILE *say;                /* NULL: nobody listens */
    const char *const *names; /* of their records */
    int64_t count;
    json_t *refused; /* ids of runs that only records which are left out name */
} merging;

/* One line. refuses: it is a fault of what was to be brought. */
static void tell(const merging *m, bool refuses, const char *what, const err *why)
{
    m->report->refused += refuses;
    if (m->say) one_line_print(m->say, "loci: %s%s%s", what, *what ? ": " : "", why->text);
}

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

static bool unite_asked(const merging *m, const char *to, const char *from, int64_t end, err *e)
{
    int added = 0;
    bool ok = unite_notes(to, from, e) && merge_evals(&added, from, to, end, e);
    m->report->evaluations += added;
    return ok;
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
static bool replace_run(const merging *m, const char *source, const char *target, const char *id,
                        int64_t end, err *e)
{
    manage_report *r = m->report;
    char fresh[FILE_PATH_BYTES], name[256];
    snprintf(name, sizeof name, "merging-%.200s", id);
    if (!file_join(fresh, m->out, name, e) || !file_make_folders(target, e)) return false;
    int lock = run_folder_lock(target, e);
    if (lock == RUN_FOLDER_BUSY || (lock >= 0 && was_finished(target))) {
        r->kept++;
        if (lock >= 0) close(lock);
        return true;
    }
    /* fresh may be left from a merge that was killed. */
    bool copied = lock >= 0 && file_remove_tree(fresh, e) && copy_tree(source, fresh, 0, e);
    if (lock >= 0 && !copied) file_remove_tree(fresh, NULL);
    /* What was asked here of a run that lacked something of its past is asked of theirs, too. */
    int kept;
    bool ok = copied && merge_evals_into(&kept, target, fresh, end, e) &&
              unite_notes(target, source, e) && put_in_place(m->memory, fresh, target, e);
    if (lock >= 0) close(lock);
    r->runs += ok;
    return ok;
}

/* *wanted: whether theirs is to come here; what is told of it, unless the run is a new one. *end:
 * see merge_run_choose. */
static bool look_at_run(bool *wanted, int64_t *end, const merging *m, const char *source,
                        const char *target, const char *id, err *e)
{
    err why;
    merge_run_choice choice;
    bool is_new = !file_is_folder(target);
    if (!merge_run_choose(&choice, end, &why, source, target, e)) return false;
    *wanted = choice == MERGE_THEIRS;
    if (choice == MERGE_NEITHER || (*wanted && !is_new)) tell(m, !*wanted, id, &why);
    return true;
}

static bool bring_run(const merging *m, const char *id, err *e)
{
    char source[FILE_PATH_BYTES], target[FILE_PATH_BYTES], runs[FILE_PATH_BYTES];
    char theirs[FILE_PATH_BYTES];
    bool wanted;
    int64_t end;
    if (!run_folder_path(source, m->from, id, e) || !run_folder_path(target, m->out, id, e)) {
        return false;
    }
    if (!manage_is_run(m->report, source)) return true;
    if (!file_join(theirs, source, "lock", e) ||
        !look_at_run(&wanted, &end, m, source, target, id, e)) {
        return false;
    }
    /* What people say of a run, or have asked of it, is worth bringing all the same. */
    if (!wanted) return !file_is_folder(target) || unite_asked(m, target, source, end, e);
    /* Shared, as the folder may be somebody's that is only read; where there is none to take, the
     * run has never been begun, or was copied here. */
    int lock = file_lock_shared(theirs);
    /* Somebody writes there: half of it would be old, half of it new. */
    if (lock == FILE_LOCK_BUSY) {
        m->report->kept++;
        return true;
    }
    bool ok =
        file_own_folder(runs, m->out, "runs", e) && replace_run(m, source, target, id, end, e);
    if (lock >= 0) close(lock);
    return ok;
}

/* ---- records ---- */

/* One name may stand for two experiments, here and there: then their runs must not share a table,
 * and theirs stay where they are. Runs that it names go to `wanted`, or to those that are not. */
static bool look_at_record(const merging *m, json_t *wanted, const char *file, err *e)
{
    char theirs[FILE_PATH_BYTES], ours[FILE_PATH_BYTES];
    err why, ignored;
    merge_record_choice choice;
    if (!manage_names_record(theirs, m->from, file, e) ||
        !manage_names_record(ours, m->out, file, e) ||
        !merge_record_choose(&choice, &why, m->out, m->from, file, e)) {
        return false;
    }
    bool takes = choice == MERGE_UNITE || choice == MERGE_LONGER;
    if (choice != MERGE_UNITE) tell(m, choice == MERGE_CONTRADICTS, "", &why);
    /* A damaged one names none. */
    manage_names_planned(takes ? wanted : m->refused, theirs, &ignored);
    if (file_exists(ours)) manage_names_planned(wanted, ours, &ignored);
    return true;
}

static bool look_at_records(const merging *m, err *e)
{
    json_auto_t *wanted = json_object();
    const char *id;
    json_t *value;
    for (int64_t i = 0; i < m->count; i++) {
        if (!look_at_record(m, wanted, m->names[i], e)) return false;
    }
    json_object_foreach(wanted, id, value)
    {
        json_object_del(m->refused, id);
    }
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
    bool ok = y && manage_names_planned(known, ours, e);
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

/* Theirs in the place of ours; but what was claimed here was. */
static bool replace_record(const char *ours, const char *theirs, err *e)
{
    json_auto_t *x = json_read(ours, e), *y = x ? json_read(theirs, e) : NULL;
    if (y) claims_record_replace(y, x);
    return y && json_write(ours, y, e);
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
static bool bring_experiment(const merging *m, const char *file, err *e)
{
    char ours[FILE_PATH_BYTES], theirs[FILE_PATH_BYTES];
    if (!manage_names_record(ours, m->out, file, e) ||
        !manage_names_record(theirs, m->from, file, e)) {
        return false;
    }
    err why;
    merge_record_choice choice;
    /* Asked once more: somebody may have run it here since. */
    if (!merge_record_choose(&choice, &why, m->out, m->from, file, e)) return false;
    if (choice == MERGE_CONTRADICTS || choice == MERGE_SHORTER) return true;
    if (!bring_notes(m->out, m->from, file, e)) return false;
    if (choice == MERGE_UNITE && file_exists(ours)) {
        return unite_records(m->report, ours, theirs, e);
    }
    m->report->experiments++;
    return manage_copies_bring(m->out, m->from, file, e) &&
           (choice == MERGE_LONGER ? replace_record(ours, theirs, e) : file_copy(theirs, ours, e));
}

/* But for those that somebody works on, here or there, on a mount that does not lock. */
static bool bring_runs(const merging *m, err *e)
{
    const char *const *names;
    int64_t count;
    char who[RUN_HOLDER_BYTES];
    if (!manage_names_runs(m->from, m->memory, &names, &count, e)) return false;
    bool *here = ARENA_NEW(m->memory, bool, count), *there = ARENA_NEW(m->memory, bool, count);
    manage_holders(here, who, m->out, names, count);
    manage_holders(there, who, m->from, names, count);
    for (int64_t i = 0; i < count; i++) {
        if (json_object_get(m->refused, names[i])) continue;
        if (here[i] || there[i]) {
            m->report->kept++;
        } else if (!bring_run(m, names[i], e)) {
            return false;
        }
    }
    return true;
}

static bool bring_experiments(const merging *m, err *e)
{
    char folder[FILE_PATH_BYTES];
    bool ok = file_own_folder(folder, m->out, "experiments", e);
    for (int64_t i = 0; ok && i < m->count; i++) {
        int lock = experiment_lock_records(m->out, e);
        ok = lock >= 0 && bring_experiment(m, m->names[i], e);
        if (lock >= 0) close(lock);
    }
    return ok;
}

static bool merge(merging *m, err *e)
{
    if (!manage_names_experiments(m->from, m->memory, &m->names, &m->count, e)) return false;
    return look_at_records(m, e) && bring_runs(m, e) && bring_experiments(m, e);
}

bool manage_merge(manage_report *r, const char *out, const char *from, FILE *say, err *e)
{
    *r = (manage_report){0};
    char folder[FILE_PATH_BYTES];
    if (!file_join(folder, from, "runs", e)) return false;
    if (!file_is_folder(folder)) return err_set(e, "%s: is no folder of results", from);
    arena_auto *a = arena_new(1 << 16);
    json_auto_t *refused = json_object();
    merging m = {
        .report = r, .memory = a, .out = out, .from = from, .say = say, .refused = refused};
    /* Until the records name what is brought. */
    int runs = experiment_lock_runs(out, false, e);
    bool ok = runs >= 0 && merge(&m, e);
    if (runs >= 0) close(runs);
    return ok;
}
