#include "harness/run/experiment_lock.h"

#include <stdio.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/file_lock.h"

/* A readers' and writers' lock about an experiment as a whole: its supervisors are the readers, rm
 * and mv the writers. It does not say who trains what (that is each run's own lock),
 * only that the set of runs may not vanish under somebody who works through it. Never waited for:
 * both sides say what is in the way and leave.
 *
 * Records are read, changed and written again by whoever begins, merges, renames or notes. That
 * takes a moment, and has a lock of its own, of all records together, which is waited for: without
 * it of two who add runs to one record at once the later one would drop what the other added. */

static bool lock_path(char path[FILE_PATH_BYTES], const char *out, const char *name, err *e)
{
    char folder[FILE_PATH_BYTES], file[FILE_PATH_BYTES];
    /* Beside the record, and not the record itself, which is replaced by rename: a lock would stay
     * with the old file. */
    snprintf(file, sizeof file, "%.200s.lock", name);
    return file_own_folder(folder, out, "experiments", e) && file_join(path, folder, file, e);
}

static int take(const char *out, const char *name, int kind, const char *busy, err *e)
{
    char path[FILE_PATH_BYTES];
    if (!lock_path(path, out, name, e)) return -1;
    int lock = file_lock(path, kind | LOCK_NB, e);
    if (lock == FILE_LOCK_BUSY) err_set(e, "experiment '%s' %s", name, busy);
    return MAX(lock, -1);
}

int experiment_lock_share(const char *out, const char *name, err *e)
{
    return take(out, name, LOCK_SH, "is being removed or renamed; try again in a moment", e);
}

int experiment_lock_alone(const char *out, const char *name, err *e)
{
    return take(out, name, LOCK_EX,
                "is running; stop its loci run first (Ctrl-C, or kill), or wait", e);
}

void experiment_lock_remove(const char *out, const char *name, int lock)
{
    char path[FILE_PATH_BYTES];
    if (lock < 0) return;
    /* Removed while it is still held: whoever opens the name after this makes a lock of its own, of
     * an experiment that is gone. Who has opened it before finds another file there, or none. */
    if (lock_path(path, out, name, NULL)) unlink(path);
    close(lock);
}

int experiment_lock_runs(const char *out, bool alone, err *e)
{
    char path[FILE_PATH_BYTES];
    /* No experiment's: their names do not begin with a dot. */
    if (!lock_path(path, out, ".runs", e)) return -1;
    int lock = file_lock(path, (alone ? LOCK_EX : LOCK_SH) | LOCK_NB, e);
    if (lock == FILE_LOCK_BUSY) {
        err_set(e, "%s: %s; try again when it is done", out,
                alone
                    ? "loci merge brings runs in that no experiment names yet, or another removes "
                      "some"
                    : "loci rm or gc removes runs that no experiment names");
    }
    return lock == FILE_LOCK_BUSY ? EXPERIMENT_LOCK_BUSY : lock;
}

int experiment_lock_records(const char *out, err *e)
{
    char folder[FILE_PATH_BYTES], path[FILE_PATH_BYTES];
    if (!file_own_folder(folder, out, "experiments", e) || !file_join(path, folder, ".lock", e))
        return -1;
    return file_lock(path, LOCK_EX, e);
}
