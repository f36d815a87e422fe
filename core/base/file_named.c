/* Files that a user named: printed into what stands there, or put in its place when whole. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/file.h"

/* A stream remembers that writing failed, not why; here the first reason is kept (fopencookie). A
 * write that takes nothing is an error to the stream. */
static ssize_t take(void *cookie, const char *data, size_t bytes)
{
    file_named *f = cookie;
    if (f->failed.text[0]) return 0;
    return file_out_write(&f->out, data, bytes, &f->failed) ? (ssize_t)bytes : 0;
}

/* With the rights of root /dev/stdout itself could be replaced. A folder refuses to be opened; a
 * link may lead to a file that is not there yet. */
static bool open_there(file_out *f, const char *path, err *e)
{
    *f = (file_out){.fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)};
    snprintf(f->path, sizeof f->path, "%s", path);
    return f->fd >= 0 || file_failed(e, path, "cannot be written");
}

/* Another file in its place would take away what it is, whose it is, or its other names. */
static bool is_written_into(const char *path, const struct stat *s)
{
    char folder[FILE_PATH_BYTES];
    file_parent(folder, path);
    return !S_ISREG(s->st_mode) || s->st_nlink > 1 || s->st_uid != geteuid() ||
           access(folder, W_OK) != 0;
}

FILE *file_named_open(file_named *f, const char *path, err *e)
{
    struct stat s;
    f->failed.text[0] = 0;
    f->stream = NULL;
    if (!*path) {
        err_set(e, "the file to write has no name");
        return NULL;
    }
    bool there = lstat(path, &s) == 0;
    f->in_place = there && is_written_into(path, &s);
    if (!(f->in_place ? open_there : file_out_open)(&f->out, path, e)) return NULL;
    /* Who may read it is as before; the file is ours, so that this cannot fail. */
    if (there && !f->in_place) (void)!fchmod(f->out.fd, s.st_mode & 07777);
    f->stream = fopencookie(f, "w", (cookie_io_functions_t){.write = take});
    if (f->stream) return f->stream;
    file_named_close(f, false, NULL);
    err_set(e, "%s: no memory to write it", path);
    return NULL;
}

bool file_named_close(file_named *f, bool ok, err *e)
{
    /* What was buffered is written by fclose: only then is it known that the disk had room. */
    if (f->stream) fclose(f->stream);
    f->stream = NULL;
    if (ok && f->failed.text[0]) ok = err_copy(e, &f->failed);
    if (!f->in_place) {
        ok = ok && file_out_commit(&f->out, e);
        file_out_cancel(&f->out);
        return ok;
    }
    /* Some file systems tell only here. */
    bool closed = close(f->out.fd) == 0;
    f->out.fd = -1;
    return ok && (closed || file_failed(e, f->out.path, "cannot be written"));
}

bool file_write_named(const char *path, const void *data, size_t bytes, err *e)
{
    file_named f;
    FILE *stream = file_named_open(&f, path, e);
    if (!stream) return false;
    fwrite(data, 1, bytes, stream);
    return file_named_close(&f, true, e);
}
