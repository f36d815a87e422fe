#include "harness/run/run_folder.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/base/file_lock.h"

/* The lock is flock on OUT/runs/ID/lock, held by the worker's open descriptor: the kernel gives it
 * back when the process ends, however it ends, so a lock without a living holder cannot be on one
 * machine. The file itself stays when the run ends; it goes with the folder, by whoever has it
 * locked, or by --take-over, which means to lock its holder out. */

/* Ids and folders may be a stranger's: neither may lead out of OUT. An id comes from records (a
 * merged folder, init_from) as well as from this program. One that is a path, or begins with a dot,
 * would leave runs/; a link in the place of the folder leads out of OUT as well, and whoever trains
 * there overwrites files elsewhere. */
bool run_folder_path(char *path, const char *out, const char *id, err *e)
{
    char runs[FILE_PATH_BYTES];
    if (!file_name_is_plain(id)) return err_set(e, "'%.100s' is no run's id", id);
    return file_join(runs, out, "runs", e) && file_within(path, runs, id, e);
}

/* No check of the name here: it is the spec's, which was checked when it was read, or manage.c's,
 * which does so itself. */
bool run_folder_record(char *path, const char *out, const char *name, err *e)
{
    char file[FILE_PATH_BYTES];
    snprintf(file, sizeof file, "experiments/%s.json", name);
    return file_join(path, out, file, e);
}

/* ---- lock ---- */

/* Read and written: the lock's descriptor is the one through which the lease's line is kept. */
static int take_lock(const char *path, err *e)
{
    /* Whoever looks whether it is locked holds it for a moment: see file_lock_is_held. */
    const struct timespec pause = {.tv_nsec = 2000000};
    int lock = FILE_LOCK_BUSY;
    for (int i = 0; i < 20 && lock == FILE_LOCK_BUSY; i++) {
        if (i > 0) nanosleep(&pause, NULL);
        lock = file_lock(path, LOCK_EX | LOCK_NB, e);
    }
    return lock;
}

int run_folder_lock(const char *folder, err *e)
{
    char path[FILE_PATH_BYTES];
    if (!file_join(path, folder, "lock", e) || !file_refuse_links(folder, e)) return -1;
    int lock = take_lock(path, e);
    if (lock != FILE_LOCK_BUSY) return lock;
    err_set(e, "%s: another process is working on this run; wait for it or stop it", folder);
    return RUN_FOLDER_BUSY;
}

bool run_folder_locked(const char *folder)
{
    char path[FILE_PATH_BYTES];
    return file_join(path, folder, "lock", NULL) && file_lock_is_held(path);
}

/* ---- removing ---- */

/* A link, a pipe, a folder in the lock's place, or nothing (on a disk that is too full to make
 * one): nobody can work here by such a lock, and what is to be removed goes all the same. */
static bool is_no_lock(const char *path)
{
    struct stat s;
    return lstat(path, &s) == 0 ? !S_ISREG(s.st_mode) : errno == ENOENT;
}

bool run_folder_clear(const char *folder, const char *const *but, err *e)
{
    bool ok = true;
    file_walk w = file_walk_begin(folder, e);
    while (ok && file_walk_next(&w)) {
        const char *const *kept = but;
        while (*kept && strcmp(*kept, w.name) != 0)
            kept++;
        if (!*kept) ok = file_remove_tree(w.path, e);
    }
    return file_walk_end(&w) && ok;
}

/* Whether it was written within the last minute, by the folder's own clock: that of the status,
 * which was written a moment ago. */
static bool is_young(const char *folder, const char *path)
{
    const int64_t minute = 60 * INT64_C(1000000000);
    char status[FILE_PATH_BYTES];
    int64_t bytes, written, now;
    err ignored;
    return file_join(status, folder, "status.json", &ignored) &&
           file_stat(status, &bytes, &now, &ignored) &&
           file_stat(path, &bytes, &written, &ignored) && now - written < minute;
}

/* Where a mount hands no locks on, another machine may have come at the same time and be about to
 * rename what it has written; which of the two goes on their beats decide. */
bool run_folder_tidy(const char *folder, err *e)
{
    bool ok = true, another;
    file_walk w = file_walk_begin(folder, e);
    while (ok && file_walk_next(&w)) {
        if (!file_is_temporary(w.name, &another)) continue;
        ok = (another && is_young(folder, w.path)) || file_remove(w.path, e);
    }
    return file_walk_end(&w) && ok;
}

/* The lock's file goes last, while it is still held: as long as anything is left of the run nobody
 * begins it anew, and a removal that is killed leaves something that is still a run's folder. */
bool run_folder_remove(const char *folder, bool *busy, err *e)
{
    static const char *const LOCK[] = {"lock", NULL};
    char path[FILE_PATH_BYTES];
    err why = {0};
    *busy = false;
    if (!file_join(path, folder, "lock", e)) return false;
    int lock = take_lock(path, &why);
    *busy = lock == FILE_LOCK_BUSY;
    /* Two who tidy up at once: what has gone meanwhile is removed. */
    if (*busy || !file_is_folder(folder)) return true;
    if (lock < 0 && !is_no_lock(path)) return err_copy(e, &why);
    bool ok = run_folder_clear(folder, LOCK, e) && file_remove_tree(path, e);
    /* Not empty: somebody has begun the run again, and has the new lock. */
    if (ok && rmdir(folder) != 0 && errno != ENOENT && errno != ENOTEMPTY && errno != EEXIST) {
        ok = file_failed(e, folder, "folder cannot be removed");
    }
    if (lock >= 0) close(lock);
    return ok;
}
