#include "core/base/file.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Two worries shape these files. The first is a crash: whatever instant the machine stops at, a
 * file that a run relies on is the old one or the new one, whole. Hence the order temporary file,
 * fsync, rename, fsync of the folder, which is kept in one place (file_write.c), and hence the
 * failpoints, by which tests stop a process at each of those instants.
 *
 * The second is a stranger: a folder of results may have been unpacked from an archive, a path may
 * come from a spec. A link in it must not lead a write elsewhere, a pipe or a device must not hang
 * or feed the reader. */

/* What can be done about what is the machine's fault; "" for the asker's, where the words of the
 * system say as much, as "No such file" and "Permission denied" do. */
static const char *remedy_of(int why)
{
    switch (why) {
    case ENOSPC:
    case EDQUOT:
        return "; make room";
    case EFBIG:
        return "; make room for larger files (ulimit -f)";
    case EMFILE:
        return "; allow more open files (ulimit -n)";
    case ENFILE:
        return "; the machine has as many files open as it can, end other programs";
    case EIO:
        return "; the disk or the way to it fails, use another folder";
    case ESTALE:
        return "; it was removed or replaced on the file server, try again";
    case ENOMEM:
        return "; close other programs or use fewer --jobs";
    default:
        return "";
    }
}

bool file_failed(err *e, const char *path, const char *what)
{
    int why = errno;
    const char *remedy = remedy_of(why);
    err_set(e, "%s: %s: %s%s", path, what, strerror(why), remedy);
    if (e) e->outside = *remedy != 0;
    return false;
}

bool file_join(char out[FILE_PATH_BYTES], const char *folder, const char *name, err *e)
{
    size_t n = strlen(folder), bytes = strlen(name) + 1;
    bool slash = n > 0 && folder[n - 1] != '/';
    if (n + slash + bytes > FILE_PATH_BYTES) {
        return err_set(e, "%.200s...: path is longer than %d bytes; use a shorter folder", folder,
                       FILE_PATH_BYTES - 1);
    }
    /* No snprintf: a collection of many runs joins a dozen for each. memmove: out may be folder. */
    memmove(out, folder, n);
    if (slash) out[n++] = '/';
    memcpy(out + n, name, bytes);
    return true;
}

/* By errno: it is known that there is nothing.
 * EACCES is not among them: a checkpoint that may not be read is not a checkpoint that is missing,
 * and a run that took it so would start from the beginning. */
static bool is_absence(int why)
{
    return why == ENOENT || why == ENOTDIR || why == ENAMETOOLONG || why == ELOOP;
}

bool file_look(bool *there, const char *path, err *e)
{
    *there = access(path, F_OK) == 0;
    return *there || is_absence(errno) || file_failed(e, path, "cannot be looked for");
}

bool file_exists(const char *path)
{
    bool there;
    return !file_look(&there, path, NULL) || there;
}

bool file_is_folder(const char *path)
{
    struct stat s;
    return stat(path, &s) == 0 ? S_ISDIR(s.st_mode) : !is_absence(errno);
}

bool file_is_link(const char *path)
{
    struct stat s;
    return lstat(path, &s) == 0 && S_ISLNK(s.st_mode);
}

bool file_stat(const char *path, int64_t *bytes, int64_t *changed_ns, err *e)
{
    struct stat s;
    if (stat(path, &s) != 0) return file_failed(e, path, "cannot be found");
    if (bytes) *bytes = s.st_size;
    if (changed_ns) *changed_ns = (int64_t)s.st_mtim.tv_sec * 1000000000 + s.st_mtim.tv_nsec;
    return true;
}

bool file_refuse_link(const char *path, err *e)
{
    return !file_is_link(path) ||
           err_set(e, "%s: is a link; what a folder of results holds lies in it: remove the link",
                   path);
}

bool file_name_is_plain(const char *name)
{
    return *name && *name != '.' && !strchr(name, '/');
}

bool file_within(char path[FILE_PATH_BYTES], const char *folder, const char *name, err *e)
{
    if (!file_name_is_plain(name)) {
        return err_set(e, "%s: '%.100s' is no name of what lies in it", folder, name);
    }
    return file_join(path, folder, name, e) && file_refuse_link(folder, e) &&
           file_refuse_link(path, e);
}

/* SIGKILL, since it is what a batch system or the kernel does: no handler runs, no buffer is
 * flushed. */
void file_failpoint(const char *name)
{
    /* Of the one point that the environment names; checkpoints are one thread's. */
    static int passed;
    const char *wanted = getenv("LOCI_FAILPOINT");
    if (!wanted) return;
    size_t length = strlen(name);
    if (strncmp(wanted, name, length) != 0 || wanted[length] != ':') return;
    if (++passed == atoi(wanted + length + 1)) raise(SIGKILL);
}
