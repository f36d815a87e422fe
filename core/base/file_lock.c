#include "core/base/file_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/file.h"

/* A lock belongs to a file, not to its name. Between opening the one and getting the other somebody
 * may remove the file (rm, mv, gc, --take-over, a user who tidies up), and who comes next makes
 * another one of that name: two processes would have "the" lock. So it is asked once more, with the
 * lock in hand, whether the name still means this file. Behind that moment it is for those who
 * remove a lock's file to have the lock. */

static bool is_at(int fd, const char *path)
{
    struct stat own, there;
    return fstat(fd, &own) == 0 && lstat(path, &there) == 0 && own.st_dev == there.st_dev &&
           own.st_ino == there.st_ino;
}

/* A signal that is handled elsewhere is no answer. */
static int ask(int fd, int how)
{
    int answer;
    do {
        answer = flock(fd, how);
    } while (answer != 0 && errno == EINTR);
    return answer;
}

int file_lock(const char *path, int how, err *e)
{
    /* Each further try means that another process has replaced the file meanwhile. */
    for (int tries = 0; tries < 1000; tries++) {
        int fd = file_open_own(path, O_RDWR, e);
        /* Opened for writing though nothing may be written: some network file systems give
         * exclusive locks on such descriptors only. */
        if (fd < 0) return -1;
        bool had = ask(fd, how) == 0;
        if (had && is_at(fd, path)) return fd;
        bool busy = !had && errno == EWOULDBLOCK;
        if (!had && !busy) file_failed(e, path, "cannot be locked");
        close(fd);
        if (!had) return busy ? FILE_LOCK_BUSY : -1;
    }
    err_set(e, "%s: cannot be locked: it is replaced again and again", path);
    return -1;
}

int file_lock_shared(const char *path)
{
    int fd = file_open(path, NULL, NULL);
    if (fd < 0 || ask(fd, LOCK_SH | LOCK_NB) == 0) return fd;
    bool busy = errno == EWOULDBLOCK;
    close(fd);
    return busy ? FILE_LOCK_BUSY : -1;
}

/* Asking is done by trying: flock cannot be asked who has it. The lock is given back at once by
 * close. A shared one, so that two who ask at the same moment do not see each other. */
bool file_lock_is_held(const char *path)
{
    int fd = file_lock_shared(path);
    if (fd >= 0) close(fd);
    return fd == FILE_LOCK_BUSY;
}
