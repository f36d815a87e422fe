#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/file.h"

/* Temporary file, fsync, rename, fsync of the folder: the order in which a file is at every instant
 * the old one or the new one. */

void file_parent(char out[FILE_PATH_BYTES], const char *path)
{
    snprintf(out, FILE_PATH_BYTES, "%s", path);
    char *slash = strrchr(out, '/');
    if (!slash) {
        snprintf(out, FILE_PATH_BYTES, ".");
    } else if (slash == out) {
        out[1] = 0;
    } else {
        *slash = 0;
    }
}

bool file_sync_folder(const char *path, err *e)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return file_failed(e, path, "cannot be opened as a folder");
    /* Some file systems cannot sync a folder (EINVAL); there the rename has to be enough. */
    bool ok = fsync(fd) == 0 || errno == EINVAL;
    if (!ok) file_failed(e, path, "cannot be synced");
    close(fd);
    return ok;
}

bool file_sync_name(const char *path, err *e)
{
    char folder[FILE_PATH_BYTES];
    file_parent(folder, path);
    return file_sync_folder(folder, e);
}

/* rename is atomic for who looks on, and lost by a power cut until the folder is synced. */
bool file_rename(const char *from, const char *to, err *e)
{
    if (rename(from, to) != 0) return file_failed(e, to, "cannot be replaced");
    return file_sync_name(to, e);
}

bool file_temporary(char name[FILE_PATH_BYTES], const char *path, err *e)
{
    char host[HOST_NAME_MAX + 1] = "";
    gethostname(host, sizeof host - 1);
    int n = snprintf(name, FILE_PATH_BYTES, "%s.tmp.%.64s.%ld", path, host, (long)getpid());
    if (n < FILE_PATH_BYTES) return true;
    return err_set(e, "%.200s...: path is too long; use a shorter folder", path);
}

/* Without a host's name (as older programs had it) it is taken for this one's. */
bool file_is_temporary(const char *name, bool *another_host)
{
    char host[HOST_NAME_MAX + 1] = "", own[HOST_NAME_MAX + 8];
    const char *at = strstr(name, ".tmp.");
    gethostname(host, sizeof host - 1);
    snprintf(own, sizeof own, ".tmp.%.64s.", host);
    *another_host = at && strchr(at + 5, '.') && strncmp(at, own, strlen(own)) != 0;
    return at != NULL;
}

bool file_out_open(file_out *f, const char *path, err *e)
{
    *f = (file_out){.fd = -1};
    snprintf(f->path, sizeof f->path, "%s", path);
    f->fd = file_open_temporary(f->temporary, path, O_WRONLY, e);
    return f->fd >= 0;
}

bool file_out_write(file_out *f, const void *data, size_t bytes, err *e)
{
    CHECK(f->fd >= 0, "%s is not open", f->path);
    const char *p = data;
    for (size_t done = 0; done < bytes;) {
        /* Linux writes less than 2 GiB at a time, and a full disk may take a part: the rest is
         * tried again, and then the error has its name. */
        ssize_t n = write(f->fd, p + done, MIN(bytes - done, (size_t)1 << 30));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return file_failed(e, f->path, "cannot be written");
        done += (size_t)n;
    }
    if (f->hash) sha256_add(f->hash, data, bytes);
    f->bytes += (int64_t)bytes;
    return true;
}

/* The content is on the disk before the name points at it. Some file systems would order it the
 * other way and leave an empty file behind after a power cut. `close` may be the first to tell of a
 * quota or a server that failed: before the rename, while the old file still stands. */
bool file_out_commit(file_out *f, err *e)
{
    CHECK(f->fd >= 0, "%s is not open", f->path);
    if (fsync(f->fd) != 0) return file_failed(e, f->path, "cannot be synced");
    int closed = close(f->fd);
    f->fd = -1;
    if (closed != 0) file_failed(e, f->path, "cannot be replaced");
    if (closed == 0 && file_rename(f->temporary, f->path, e)) return true;
    unlink(f->temporary);
    return false;
}

void file_out_cancel(file_out *f)
{
    if (f->fd < 0) return;
    close(f->fd);
    f->fd = -1;
    unlink(f->temporary);
}

bool file_write(const char *path, const void *data, size_t bytes, err *e)
{
    file_out f;
    if (!file_out_open(&f, path, e)) return false;
    /* After a commit there is nothing to cancel; after a failure the temporary file goes. */
    bool ok = file_out_write(&f, data, bytes, e) && file_out_commit(&f, e);
    file_out_cancel(&f);
    return ok;
}
