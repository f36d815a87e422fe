/* Whether a file is still the one that was read, without reading it. The time of change (ctime)
 * cannot be set by a user, unlike that of modification, which copying tools preserve; the inode
 * tells a file that was renamed into the place of another. Multiplied by an odd number the inode
 * spreads over all bits, so the two do not cancel; the shift keeps the stamp positive, for the text
 * form in caches. */
#include "data/file_stamp.h"

#include <sys/stat.h>

#include "core/base/file.h"

bool file_stamp(const char *path, int64_t *bytes, int64_t *stamp, err *e)
{
    struct stat s;
    if (stat(path, &s) != 0) return file_failed(e, path, "cannot be found");
    int64_t changed_ns = (int64_t)s.st_ctim.tv_sec * 1000000000 + s.st_ctim.tv_nsec;
    *bytes = s.st_size;
    *stamp = (int64_t)(((uint64_t)changed_ns ^ (uint64_t)s.st_ino * 0x9e3779b97f4a7c15u) >> 1);
    return true;
}
