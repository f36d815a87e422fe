#include <errno.h>
#include <unistd.h>

#include "core/base/file.h"

/* A file may say that it has terabytes and hold nothing on the disk. What a folder of results is
 * copied from may be a stranger's: its holes stay holes, or they would fill the disk here. */

/* The bytes of the source from `at` to `end`. Read rather than mapped: a file that becomes shorter
 * meanwhile is an error, not the end of the process. */
static bool copy_data(file_out *f, int from, int64_t at, int64_t end, const char *path, err *e)
{
    char piece[1 << 16];
    while (at < end) {
        ssize_t n = pread(from, piece, (size_t)MIN(end - at, (int64_t)sizeof piece), at);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return file_failed(e, path, "cannot be read");
        if (n == 0) return err_set(e, "%s: became shorter while it was read; try again", path);
        if (!file_out_write(f, piece, (size_t)n, e)) return false;
        at += n;
    }
    return true;
}

/* Behind what was written: nothing as far as `end`. */
static bool leave_hole(file_out *f, int64_t end, err *e)
{
    if (f->bytes == end) return true;
    if (ftruncate(f->fd, end) != 0 || lseek(f->fd, end, SEEK_SET) != end) {
        return file_failed(e, f->path, "cannot be written");
    }
    f->bytes = end;
    return true;
}

/* Where data begins, and where it ends, behind `at`. A file system that knows no holes (EINVAL)
 * has data alone. */
static void find_data(int64_t *data, int64_t *end, int from, int64_t at, int64_t bytes)
{
    off_t found = lseek(from, at, SEEK_DATA);
    if (found < at) found = errno == ENXIO ? bytes : at; /* ENXIO: nothing but a hole is left */
    *data = MIN((int64_t)found, bytes);
    found = lseek(from, *data, SEEK_HOLE);
    *end = found > *data ? MIN((int64_t)found, bytes) : bytes;
}

static bool copy_all(file_out *f, int from, int64_t bytes, const char *path, err *e)
{
    int64_t data, end;
    for (int64_t at = 0; at < bytes; at = end) {
        find_data(&data, &end, from, at, bytes);
        if (!leave_hole(f, data, e) || !copy_data(f, from, data, end, path, e)) return false;
    }
    return true;
}

/* The descriptor is closed; one that is none is what opening has told. */
static bool copy(int source, int64_t bytes, const char *from, const char *to, err *e)
{
    file_out f;
    if (source < 0) return false;
    bool ok = file_out_open(&f, to, e);
    if (ok) {
        ok = copy_all(&f, source, bytes, from, e) && file_out_commit(&f, e);
        file_out_cancel(&f);
    }
    close(source);
    return ok;
}

bool file_copy(const char *from, const char *to, err *e)
{
    int64_t bytes = 0;
    int source = file_open(from, &bytes, e);
    return copy(source, bytes, from, to, e);
}

bool file_copy_named(const char *from, const char *to, err *e)
{
    int64_t bytes = 0;
    int source = file_open_named(from, &bytes, e);
    return copy(source, bytes, from, to, e);
}
