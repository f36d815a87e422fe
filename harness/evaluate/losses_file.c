#include "harness/evaluate/losses_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* A flat array of f32, token t of the scored text at byte 4 t. Rows get to their tokens in an order
 * of their own, so it is written by offset (pwrite), never appended; until the end it may have
 * holes.
 *
 * Where the file lies while it is written:
 *
 *   path only       a temporary beside the path; renamed at the end, removed on a failure
 *   part            PART.f32, which stays when the process dies: the next sitting goes on from it
 *   neither         a file without a name, for slices that want the losses only for a moment
 *
 * In each case nothing incomplete ever has the final name. */

/* On disk and not in memory: four bytes per token of a corpus may be more than there is. Unlinked
 * at once, so that a kill leaves nothing behind. */
static int open_nameless(losses_file *f)
{
    const char *folder = getenv("TMPDIR");
    snprintf(f->temporary, sizeof f->temporary, "%s/loci-losses-XXXXXX",
             folder && *folder ? folder : "/tmp");
    int fd = mkostemp(f->temporary, O_CLOEXEC);
    if (fd >= 0) unlink(f->temporary);
    return fd;
}

/* A sitting before may have come to the end: then the file has its name, and is taken back to the
 * part's. A crash between its renaming and the record of the evaluation would else lose losses that
 * are there. */
static int open_part(losses_file *f, const char *part, err *e)
{
    int n = snprintf(f->temporary, sizeof f->temporary, "%s.f32", part);
    if (n >= FILE_PATH_BYTES) return err_set(e, "%s: the path is too long", part), -1;
    f->stays = true;
    f->continued = file_exists(f->temporary) || (f->path && rename(f->path, f->temporary) == 0);
    return file_open_own(f->temporary, O_RDWR, e);
}

bool losses_file_open(losses_file *f, const char *path, const char *part, err *e)
{
    *f = (losses_file){.path = path, .fd = -1};
    if (part) {
        f->fd = open_part(f, part, e);
        return f->fd >= 0;
    }
    if (path) {
        f->fd = file_open_temporary(f->temporary, path, O_RDWR, e);
        return f->fd >= 0;
    }
    f->fd = open_nameless(f);
    if (f->fd >= 0) return true;
    return file_failed(e, f->temporary, "cannot be written");
}

/* What is told of it: a temporary's name says nothing to who asked for the file. */
static const char *name_of(const losses_file *f)
{
    return f->path && !f->stays ? f->path : f->temporary;
}

/* Of a file that did not exist before there is nothing to empty. */
bool losses_file_empty(losses_file *f, err *e)
{
    if (f->fd < 0 || !f->continued || ftruncate(f->fd, 0) == 0) return true;
    return file_failed(e, name_of(f), "cannot be written");
}

/* A disk may take less than it is given, and a signal may interrupt: both mean to go on with the
 * rest. */
bool losses_file_put(losses_file *f, const float *losses, int64_t n, int64_t token, err *e)
{
    const char *data = (const char *)losses;
    size_t left = (size_t)n * sizeof *losses;
    off_t at = (off_t)(token * (int64_t)sizeof *losses);
    while (left > 0) {
        ssize_t wrote = pwrite(f->fd, data, left, at);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote < 0) return file_failed(e, name_of(f), "cannot be written");
        data += wrote;
        at += wrote;
        left -= (size_t)wrote;
    }
    return true;
}

bool losses_file_reaches(const losses_file *f, int64_t token)
{
    struct stat is;
    return fstat(f->fd, &is) == 0 && is.st_size >= token * (int64_t)sizeof(float);
}

/* A file that became shorter is somebody else's doing; reading zeros for it would be a silent wrong
 * answer. */
bool losses_file_get(const losses_file *f, float *losses, int64_t n, int64_t token, err *e)
{
    char *to = (char *)losses;
    size_t left = (size_t)n * sizeof *losses;
    off_t at = (off_t)(token * (int64_t)sizeof *losses);
    while (left > 0) {
        ssize_t got = pread(f->fd, to, left, at);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return file_failed(e, f->temporary, "cannot be read");
        if (got == 0) {
            return err_set(e, "%s: became shorter while it was read; try again", f->temporary);
        }
        to += got;
        at += got;
        left -= (size_t)got;
    }
    return true;
}

/* Synced before it gets its name, closed before it is renamed: some file systems report a full disk
 * no earlier than close. */
bool losses_file_close(losses_file *f, bool keep, err *e)
{
    if (f->fd < 0) return true;
    keep = keep && f->path;
    bool ok = !keep || fsync(f->fd) == 0;
    ok = close(f->fd) == 0 && ok;
    f->fd = -1;
    if (!keep) {
        if (f->path && !f->stays) unlink(f->temporary);
        return true;
    }
    if (ok && file_rename(f->temporary, f->path, e)) return true;
    if (!ok) file_failed(e, f->path, "cannot be written");
    unlink(f->temporary);
    return false;
}
