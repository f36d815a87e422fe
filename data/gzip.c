/* gzip files as zlib reads them: several parts one behind the other are one text (bgzip, pigz and
 * `cat a.gz b.gz` write such). */
#include <unistd.h>
#include <zlib.h>

#include "core/base/file.h"
#include "data/packed.h"

enum { CHUNK_BYTES = 1 << 18 };

/* gzread gives what it has before it says that the rest is missing, so the length of the output
 * proves nothing.
 * So errors are asked for twice: after the last read, and when the file is closed. */
static bool copy_out(gzFile in, file_out *out, const char *path, err *e)
{
    unsigned char chunk[CHUNK_BYTES];
    int got;
    while ((got = gzread(in, chunk, CHUNK_BYTES)) > 0) {
        if (!file_out_write(out, chunk, (size_t)got, e)) return false;
    }
    int problem;
    const char *text = gzerror(in, &problem);
    if (problem == Z_OK) return true;
    if (problem == Z_ERRNO) return file_failed(e, path, "cannot be read");
    return err_set(e, "%s: this gzip file is damaged or cut off (%s); get it again", path, text);
}

bool gzip_unpack(const char *path, const char *out, err *e)
{
    int fd = file_open_named(path, NULL, e);
    gzFile in = fd < 0 ? NULL : gzdopen(fd, "rb");
    if (!in && fd >= 0) {
        close(fd);
        err_set(e, "%s: no memory to unpack it", path);
    }
    if (!in) return false;
    file_out file;
    /* Under a temporary name until it is whole. */
    bool ok = file_out_open(&file, out, e);
    if (ok) {
        ok = copy_out(in, &file, path, e);
        /* Closing tells of an end that is missing. */
        bool whole = gzclose_r(in) == Z_OK;
        if (ok && !whole) ok = err_set(e, "%s: this gzip file is cut off; get it again", path);
        ok = ok && file_out_commit(&file, e);
        file_out_cancel(&file);
        return ok;
    }
    gzclose_r(in);
    return false;
}
