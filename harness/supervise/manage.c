#include "harness/supervise/manage.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "harness/run/experiment_lock.h"
#include "harness/run/notes.h"
#include "harness/run/run_folder.h"
#include "harness/run/run_record.h"
#include "harness/run/run_status.h"
#include "harness/run/set_aside.h"
#include "harness/supervise/manage_copies.h"
#include "harness/supervise/manage_holders.h"
#include "harness/supervise/manage_names.h"
#include "harness/supervise/manage_needs.h"
#include "harness/train/checkpoint.h"
#include "results/store/experiment.h"
#include "results/store/run_damage.h"

/* Runs have no owner. What may go is decided from all records at once: a run stays if any other
 * experiment plans it, or if one that stays starts from it, however many steps away. So a record
 * that cannot be read stops everything: its runs would look as if nobody needed them.
 *
 * Removing takes the runs first and the record last: killed in between, the record still names what
 * is left, and the same command goes on. Renaming writes the other record before it removes this
 * one, for the same reason; for a moment both plan the same runs, which is harmless. */

static bool leave_out(manage_report *r, const err *why)
{
    if (r->left_out++ == 0) r->why = *why;
    return true;
}

bool manage_is_run(manage_report *r, const char *folder)
{
    err why;
    return run_damage_of_its_name(folder, &why) || !leave_out(r, &why);
}

/* ---- removing a run ---- */

/* What lies deeper than it can be removed is not counted. */
static int64_t bytes_below(const char *folder, int depth)
{
    int64_t sum = 0, bytes;
    if (depth > FILE_DEPTH) return 0;
    file_walk w = file_walk_begin(folder, NULL);
    while (file_walk_next(&w)) {
        /* What a link leads to is not removed, so it is not counted. */
        if (file_is_link(w.path)) continue;
        if (file_is_folder(w.path)) {
            sum += bytes_below(w.path, depth + 1);
        } else if (file_stat(w.path, &bytes, NULL, NULL)) {
            sum += bytes;
        }
    }
    file_walk_end(&w);
    return sum;
}

static int64_t folder_bytes(const char *folder)
{
    return bytes_below(folder, 0);
}

static bool remove_run(manage_report *r, const char *out, const char *id, bool dry, err *e)
{
    char folder[FILE_PATH_BYTES];
    if (!run_folder_path(folder, out, id, e)) return false;
    if (!file_is_folder(folder)) return true;
    /* A worker that is not of this experiment's supervisors (those are kept out by the lock):
     * another's, or `loci worker` by hand. */
    int64_t bytes = folder_bytes(folder);
    bool busy = dry && run_folder_locked(folder);
    bool ok = dry || run_folder_remove(folder, &busy, e);
    r->kept += busy;
    r->runs += !busy;
    r->bytes += busy ? 0 : bytes;
    return ok;
}

static bool record_path(char path[FILE_PATH_BYTES], const char *out, const char *name, err *e)
{
    /* From the command line: it becomes a part of a path. */
    if (!*name || strchr(name, '/') || strlen(name) > 200) {
        return err_set(e, "'%.100s' is no name of an experiment", name);
    }
    return run_folder_record(path, out, name, e);
}

static bool check_exists(const char *path, const char *name, err *e)
{
    return file_exists(path) ||
           err_set(e, "there is no experiment '%s'; loci status lists them", name);
}

/* Removes those runs, or none and e where one is worked on though its lock can be had. */
static bool remove_runs(manage_report *r, arena *a, const char *out, const char *const *ids,
                        int64_t count, bool dry, err *e)
{
    char who[RUN_HOLDER_BYTES];
    bool *at_work = ARENA_NEW(a, bool, count);
    /* What a dry run counts need not be waited for. */
    if (!dry && manage_holders(at_work, who, out, ids, count) > 0) {
        return err_set(
            e,
            "%s: %s works on a run, though its lock can be had here: this mount does not "
            "lock across machines; stop it there first",
            out, who);
    }
    bool ok = true;
    for (int64_t i = 0; ok && i < count; i++) {
        ok = remove_run(r, out, ids[i], dry, e);
    }
    return ok;
}

/* ---- rm, mv ---- */

/* to NULL: removed. */
static bool move_notes(const char *out, const char *from, const char *to, err *e)
{
    char old[FILE_PATH_BYTES], new[FILE_PATH_BYTES];
    if (!notes_of_experiment(old, out, from, e)) return false;
    /* Notes of an experiment go with it; those of its runs lie in the runs. */
    if (!to) return file_remove(old, e);
    /* Notes that are there under the new name are of an experiment that was removed by hand. */
    return notes_of_experiment(new, out, to, e) && file_remove(new, e) &&
           (!file_exists(old) || file_rename(old, new, e));
}

static bool remove_record(const char *out, const char *path, const char *name, err *e)
{
    int records = experiment_lock_records(out, e);
    bool ok = records >= 0 && file_remove(path, e) && move_notes(out, name, NULL, e) &&
              manage_copies_move(out, name, NULL, e);
    if (records >= 0) close(records);
    return ok;
}

/* For who removes runs: false and e while some are brought in. *lock: to close, or -1: a dry run
 * leaves no lock's file, and on a disk too full to make one what is removed makes room. */
static bool lock_runs(int *lock, const char *out, bool dry, err *e)
{
    *lock = dry ? -1 : experiment_lock_runs(out, true, e);
    return *lock != EXPERIMENT_LOCK_BUSY;
}

/* The experiment's runs, but for those that another experiment needs, or a run of one. */
static bool remove_named(manage_report *r, const char *out, const char *path, const char *name,
                         bool dry, err *e)
{
    arena_auto *a = arena_new(1 << 16);
    json_auto_t *own = json_object();
    json_t *value;
    const char *id;
    json_auto_t *needed = manage_needs(out, name, e);
    if (!needed || !manage_names_planned(own, path, e)) return false;
    const char **ids = ARENA_NEW(a, const char *, (int64_t)json_object_size(own));
    int64_t count = 0;
    json_object_foreach(own, id, value)
    {
        if (json_object_get(needed, id)) {
            r->kept++;
        } else {
            ids[count++] = id;
        }
    }
    return remove_runs(r, a, out, ids, count, dry, e);
}

bool manage_remove(manage_report *r, const char *out, const char *name, bool dry, err *e)
{
    *r = (manage_report){0};
    char path[FILE_PATH_BYTES];
    if (!record_path(path, out, name, e) || !check_exists(path, name, e)) return false;
    /* Before anything is read: a supervisor that comes now would plan runs while they are
     * removed. */
    int lock = experiment_lock_alone(out, name, e);
    if (lock < 0) return false;
    int runs;
    bool ok = lock_runs(&runs, out, dry, e) && remove_named(r, out, path, name, dry, e);
    r->experiments = ok;
    ok = ok && (dry || remove_record(out, path, name, e));
    if (runs >= 0) close(runs);
    experiment_lock_remove(out, name, lock);
    return ok;
}

bool manage_check_name(bool *good, const char *out, const char *name, err *e)
{
    char path[FILE_PATH_BYTES];
    bool taken;
    *good = false;
    if (!experiment_name_is_good(name, e) || !record_path(path, out, name, e)) return true;
    if (!file_look(&taken, path, e)) return false;
    *good = !taken || err_set(e, "there is an experiment '%s' already", name);
    return true;
}

static bool name_is_free(const char *out, const char *name, err *e)
{
    bool good;
    return manage_check_name(&good, out, name, e) && good;
}

bool manage_rename(const char *out, const char *from, const char *to, err *e)
{
    char old[FILE_PATH_BYTES], new[FILE_PATH_BYTES];
    if (!record_path(old, out, from, e) || !record_path(new, out, to, e) ||
        !check_exists(old, from, e) || !name_is_free(out, to, e)) {
        return false;
    }
    int lock = experiment_lock_alone(out, from, e);
    int records = lock < 0 ? -1 : experiment_lock_records(out, e);
    /* Asked once more, as nobody can take the name from here on. */
    bool is_free = records >= 0 && name_is_free(out, to, e);
    json_auto_t *x = is_free ? json_read(old, e) : NULL;
    /* Notes go between the two writes: killed before, they are still with the name that is
     * there. */
    if (x) json_object_set_new(x, "name", json_string(to));
    bool ok = x && json_write(new, x, e) && move_notes(out, from, to, e) &&
              manage_copies_move(out, from, to, e) && file_remove(old, e);
    if (records >= 0) close(records);
    experiment_lock_remove(out, from, lock);
    return ok;
}

/* ---- gc ---- */

/* The training state of a finished run: its files and their names in the manifest. */
static bool drop_training_state(manage_report *r, const char *folder, bool dry, err *e)
{
    char path[FILE_PATH_BYTES], file[FILE_PATH_BYTES], inner[512];
    if (!file_join(path, folder, "checkpoint/manifest.json", e)) return false;
    if (!file_exists(path)) return true;
    err why;
    json_auto_t *manifest = json_read(path, &why);
    json_t *value;
    if (!manifest) return leave_out(r, &why);
    void *next;
    const char *name;
    json_t *files = json_object_get(manifest, "files");
    bool ok = true;
    json_object_foreach_safe(files, next, name, value)
    {
        /* A manifest may be a stranger's, and name files outside of its folder. */
        if (!ok || strncmp(name, "train-", 6) != 0 || strchr(name, '/')) continue;
        snprintf(inner, sizeof inner, "checkpoint/%s", name);
        /* As the manifest says: for the report, nothing hangs on it. */
        r->bytes += json_get_int(value, "bytes", 0);
        ok = file_join(file, folder, inner, e);
        if (!ok || dry) continue;
        /* The manifest first, as it must not name what is gone; but on a full disk there is room
         * for it only behind the file. */
        json_object_del(files, name);
        ok = json_write(path, manifest, NULL);
        ok = file_remove(file, e) && (ok || json_write(path, manifest, e));
    }
    return ok;
}

/* A finished run, what others need of it, and which of its models stay. */
typedef struct tidied {
    const json_t *needs;
    keep_models kept;
    const char *id;
} tidied;

/* What was set aside when the run had to be trained again: it is whole again. */
static bool drop_former(manage_report *r, const tidied *t, const char *folder, bool dry, err *e)
{
    bool ok = true;
    file_walk w = file_walk_begin(folder, e);
    while (ok && file_walk_next(&w)) {
        if (strncmp(w.name, SET_ASIDE_FOLDER, strlen(SET_ASIDE_FOLDER)) != 0) continue;
        if (manage_needs_folder(t->needs, t->id, w.name)) continue;
        r->bytes += folder_bytes(w.path);
        ok = dry || file_remove_tree(w.path, e);
    }
    return file_walk_end(&w) && ok;
}

/* The models that a finished run kept on its way, but those that stay. */
static bool drop_models(manage_report *r, const tidied *t, const char *folder, bool dry, err *e)
{
    if (t->kept == KEEP_ALL) return true;
    bool ok = true;
    file_walk w = file_walk_begin(folder, e);
    while (ok && file_walk_next(&w)) {
        if (strncmp(w.name, CHECKPOINT_KEPT, strlen(CHECKPOINT_KEPT)) != 0) continue;
        /* The last one is in checkpoint/, which this never touches. */
        if (t->kept == KEEP_BEST && strcmp(w.name, CHECKPOINT_BEST) == 0) continue;
        if (manage_needs_folder(t->needs, t->id, w.name)) continue;
        r->bytes += folder_bytes(w.path);
        ok = dry || file_remove_tree(w.path, e);
    }
    return file_walk_end(&w) && ok;
}

/* What a finished run does not need. Its lock is held meanwhile: a longer run may begin with it. */
static bool tidy_run(manage_report *r, const char *out, const tidied *t, bool dry, err *e)
{
    char folder[FILE_PATH_BYTES];
    run_status status;
    err damaged;
    if (!run_folder_path(folder, out, t->id, e)) return false;
    if (!file_is_folder(folder) || !run_status_read(&status, folder, &damaged) ||
        /* Whatever is not done goes on from what gc would take. */
        status.state != RUN_DONE) {
        return true;
    }
    int lock = run_folder_lock(folder, e);
    /* Somebody works on it: its turn will come. */
    if (lock < 0) return lock == RUN_FOLDER_BUSY;
    bool ok = drop_models(r, t, folder, dry, e) && drop_former(r, t, folder, dry, e) &&
              drop_training_state(r, folder, dry, e);
    close(lock);
    return ok;
}

static bool collect_garbage(manage_report *r, const char *out, keep_models kept, bool dry, err *e)
{
    arena_auto *a = arena_new(1 << 16);
    const char *const *names;
    int64_t count = 0, unnamed = 0;
    /* Runs before records: a sweep that begins now writes its record first, so that whatever run
     * is in the list is named by one. */
    if (!manage_names_runs(out, a, &names, &count, e)) return false;
    json_auto_t *needed = manage_needs(out, NULL, e);
    if (!needed) return false;
    const char **ids = ARENA_NEW(a, const char *, count);
    for (int64_t i = 0; i < count; i++) {
        char folder[FILE_PATH_BYTES];
        if (json_object_get(needed, names[i])) continue;
        if (!run_folder_path(folder, out, names[i], e)) return false;
        if (manage_is_run(r, folder)) ids[unnamed++] = names[i];
    }
    /* First what needs no room on a full disk. */
    bool ok =
        remove_runs(r, a, out, ids, unnamed, dry, e) && manage_copies_drop(&r->bytes, out, dry, e);
    for (int64_t i = 0; ok && i < count; i++) {
        if (!json_object_get(needed, names[i])) continue;
        ok = tidy_run(r, out, &(tidied){needed, kept, names[i]}, dry, e);
    }
    return ok;
}

bool manage_collect_garbage(manage_report *r, const char *out, keep_models kept, bool dry, err *e)
{
    *r = (manage_report){0};
    int runs;
    bool ok = lock_runs(&runs, out, dry, e) && collect_garbage(r, out, kept, dry, e);
    if (runs >= 0) close(runs);
    return ok;
}
