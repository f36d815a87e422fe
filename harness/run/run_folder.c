#include "harness/run/run_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

/* The lock is flock on OUT/runs/ID/lock, held by the worker's open descriptor: the kernel gives it
 * back when the process ends, however it ends, so a lock without a living holder cannot be on one
 * machine. The file itself stays when the run ends: removed while others have it open, two
 * processes would have two locks of one name, which only --take-over means to happen. */

/* Ids and folders may be a stranger's: neither may lead out of OUT. An id comes from records (a
 * merged folder, init_from) as well as from this program. One that is a path, or begins with a dot,
 * would leave runs/; a link in the place of the folder leads out of OUT as well, and whoever trains
 * there overwrites files elsewhere. */
bool run_folder_path(char *path, const char *out, const char *id, err *e)
{
    char runs[FILE_PATH_BYTES];
    if (!*id || *id == '.' || strchr(id, '/')) return err_set(e, "'%.100s' is no run's id", id);
    return file_join(runs, out, "runs", e) && file_join(path, runs, id, e) &&
           file_refuse_link(runs, e) && file_refuse_link(path, e);
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

int run_folder_lock(const char *folder, err *e)
{
    char path[FILE_PATH_BYTES];
    if (!file_join(path, folder, "lock", e) || !file_refuse_links(folder, e)) return -1;
    /* Read and written: the lock's descriptor is the one through which the lease's line is kept. */
    int fd = file_open_own(path, O_RDWR, e);
    if (fd < 0) return -1;
    /* Whoever looks whether it is locked holds it for a moment: see run_folder_locked. */
    const struct timespec pause = {.tv_nsec = 2 * 1000 * 1000};
    for (int i = 0; i < 20; i++) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0) return fd;
        if (errno != EWOULDBLOCK) break;
        nanosleep(&pause, NULL);
    }
    bool busy = errno == EWOULDBLOCK;
    if (busy) {
        err_set(e, "%s: another process is working on this run; wait for it or stop it", folder);
    } else {
        file_failed(e, path, "cannot be locked");
    }
    close(fd);
    return busy ? RUN_FOLDER_BUSY : -1;
}

bool run_folder_locked(const char *folder)
{
    char path[FILE_PATH_BYTES];
    if (!file_join(path, folder, "lock", NULL)) return false;
    int fd = file_open(path, NULL, NULL);
    if (fd < 0) return false;
    /* Asking is done by trying: flock cannot be asked who has it. The lock is given back at once by
     * close. A shared lock: two readers who look at the same moment do not see each other. */
    bool locked = flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    close(fd);
    return locked;
}
