#include "core/base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Two worries shape this file. The first is a crash: whatever instant the machine stops at, a file
 * that a run relies on is the old one or the new one, whole. Hence the order temporary file, fsync,
 * rename, fsync of the folder, which is kept in one place (file_out_*), and hence the failpoints,
 * by which tests stop a process at each of those instants.
 *
 * The second is a stranger: a folder of results may have been unpacked from an archive, a path may
 * come from a spec. A link in it must not lead a write elsewhere, a pipe or a device must not hang
 * or feed the reader. So files are opened first and asked what they are afterwards, by the
 * descriptor: a question about the path could be answered by another file than the one that is
 * opened. */

/* What can be done about it; "" where the words of the system say as much. */
/* Only errors of which a user would not know what to do; "No such file" and "Permission denied" say
 * it. */
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
    return err_set(e, "%s: %s: %s%s", path, what, strerror(why), remedy_of(why));
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

bool file_exists(const char *path)
{
    return access(path, F_OK) == 0 || !is_absence(errno);
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

/* ---- reading ---- */

/* A pipe without a writer would be waited for, a terminal would become the process's own.
 * O_NONBLOCK and O_NOCTTY keep `open` itself from doing so; for regular files they mean nothing. */
static int open_regular(const char *path, int flags, struct stat *s, err *e)
{
    int fd = open(path, flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0666);
    if (fd < 0) {
        file_failed(e, path, "cannot be opened");
        return -1;
    }
    bool looked = fstat(fd, s) == 0;
    if (!looked || !S_ISREG(s->st_mode)) {
        if (!looked) file_failed(e, path, "cannot be read");
        if (looked) err_set(e, "%s: is not a file; give the path of a regular file", path);
        close(fd);
        return -1;
    }
    return fd;
}

int file_open(const char *path, int64_t *bytes, err *e)
{
    struct stat s;
    int fd = open_regular(path, O_RDONLY, &s, e);
    if (fd >= 0 && bytes) *bytes = s.st_size;
    return fd;
}

int file_open_own(const char *path, int flags, err *e)
{
    struct stat s;
    if (!file_refuse_link(path, e)) return -1;
    /* The check before gives the better sentence; O_NOFOLLOW is what holds if a link is put there
     * meanwhile. */
    return open_regular(path, flags | O_CREAT | O_NOFOLLOW, &s, e);
}

/* Bytes that were appended after the size was asked are left for the next reading: a log that grows
 * is read up to there. */
static bool read_all(int fd, char *out, size_t bytes, const char *path, err *e)
{
    for (size_t done = 0; done < bytes;) {
        ssize_t n = read(fd, out + done, bytes - done);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return file_failed(e, path, "cannot be read");
        if (n == 0) return err_set(e, "%s: became shorter while it was read; try again", path);
        done += (size_t)n;
    }
    out[bytes] = 0;
    return true;
}

/* a NULL: from the heap. */
static char *read_whole(arena *a, const char *path, size_t *bytes, err *e)
{
    int64_t length;
    int fd = file_open(path, &length, e);
    if (fd < 0) return NULL;
    size_t size = (size_t)length;
    if (length > FILE_READ_BYTES) {
        close(fd);
        err_set(e, "%s: of %zu bytes; no file that is read whole has more than 1 GiB", path, size);
        return NULL;
    }
    /* The NUL lets parsers run to the end without counting; *bytes tells of NULs inside. */
    char *text = a ? arena_push(a, (int64_t)size + 1, 1) : malloc(size + 1);
    bool ok = text ? read_all(fd, text, size, path, e)
                   : err_set(e, "%s: no memory for its %zu bytes", path, size);
    close(fd);
    if (!ok) {
        if (!a) free(text);
        return NULL;
    }
    if (bytes) *bytes = size;
    return text;
}

char *file_read(const char *path, size_t *bytes, err *e)
{
    return read_whole(NULL, path, bytes, e);
}

char *file_read_arena(arena *a, const char *path, size_t *bytes, err *e)
{
    return read_whole(a, path, bytes, e);
}

/* The mapping outlives the descriptor. Private and read-only: pages are the kernel's cache, shared
 * by all runs of a sweep on a machine, and are dropped under pressure without being written
 * anywhere. */
bool file_map_open(file_map *map, const char *path, err *e)
{
    *map = (file_map){.data = (const unsigned char *)"", .bytes = 0};
    int64_t bytes;
    int fd = file_open(path, &bytes, e);
    if (fd < 0) return false;
    bool ok = true;
    if (bytes > 0) { /* mmap refuses empty files */
        void *data = mmap(NULL, (size_t)bytes, PROT_READ, MAP_PRIVATE, fd, 0);
        ok = data != MAP_FAILED;
        if (ok) *map = (file_map){.data = data, .bytes = (size_t)bytes};
        if (!ok) file_failed(e, path, "cannot be mapped");
    }
    close(fd);
    return ok;
}

void file_map_close(file_map *map)
{
    if (map->bytes > 0) munmap((void *)(uintptr_t)map->data, map->bytes);
    *map = (file_map){.data = (const unsigned char *)"", .bytes = 0};
}

bool file_sha256(char hex[SHA256_HEX], const char *path, err *e)
{
    enum { PIECE = 1 << 14 };
    /* Read piece by piece: to map a file and to give the map back stops all other threads. */
    int fd = file_open(path, NULL, e);
    if (fd < 0) return false;
    sha256 hash;
    sha256_init(&hash);
    char piece[PIECE];
    ssize_t n;
    while ((n = read(fd, piece, sizeof piece)) != 0) {
        if (n > 0) sha256_add(&hash, piece, (size_t)n);
        if (n < 0 && errno != EINTR) break;
    }
    if (n < 0) file_failed(e, path, "cannot be read");
    close(fd);
    sha256_final_hex(&hash, hex);
    return n == 0;
}

/* ---- writing ---- */

/* "a/b" lies in "a", "/b" in "/", "b" in ".". */
static void parent_of(char out[FILE_PATH_BYTES], const char *path)
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
    parent_of(folder, path);
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
    if (!file_temporary(f->temporary, path, e)) return false;
    snprintf(f->path, sizeof f->path, "%s", path);
    f->fd = file_open_own(f->temporary, O_WRONLY | O_TRUNC, e);
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
        if (n < 0) return file_failed(e, f->temporary, "cannot be written");
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
    if (fsync(f->fd) != 0) return file_failed(e, f->temporary, "cannot be synced");
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

bool file_copy(const char *from, const char *to, err *e)
{
    file_map_auto map = {0};
    return file_map_open(&map, from, e) && file_write(to, map.data, map.bytes, e);
}

/* ---- folders ---- */

bool file_make_folders(const char *path, err *e)
{
    char part[FILE_PATH_BYTES], parent[FILE_PATH_BYTES];
    int n = snprintf(part, sizeof part, "%s", path);
    if (n >= (int)sizeof part) return err_set(e, "%.200s...: path is too long", path);
    /* Every prefix that ends before a '/' is made in turn, the whole path last. EEXIST is no
     * failure: another process may have made it, and whether it is a folder is asked at the end. */
    for (char *c = part + 1; n > 0; c++) {
        char was = *c;
        if (was != '/' && was != 0) continue;
        *c = 0;
        bool made = mkdir(part, 0777) == 0;
        if (!made && errno != EEXIST) return file_failed(e, part, "folder cannot be made");
        /* What is synced in it would be lost with its name. */
        parent_of(parent, part);
        if (made && !file_sync_folder(parent, e)) return false;
        *c = was;
        if (was == 0) break;
    }
    struct stat s;
    if (stat(path, &s) != 0) return file_failed(e, path, "folder cannot be made");
    return S_ISDIR(s.st_mode) || err_set(e, "%s: is not a folder; remove or rename it", path);
}

/* ---- links ---- */

bool file_refuse_link(const char *path, err *e)
{
    return !file_is_link(path) ||
           err_set(e, "%s: is a link; what a folder of results holds lies in it: remove the link",
                   path);
}

bool file_refuse_links(const char *folder, err *e)
{
    bool ok = true;
    file_walk w = file_walk_begin(folder, e);
    while (ok && file_walk_next(&w)) {
        ok = file_refuse_link(w.path, e);
    }
    return file_walk_end(&w) && ok;
}

bool file_own_folder(char path[FILE_PATH_BYTES], const char *folder, const char *name, err *e)
{
    return file_join(path, folder, name, e) && file_refuse_link(path, e) &&
           file_make_folders(path, e);
}

bool file_remove(const char *path, err *e)
{
    return unlink(path) == 0 || errno == ENOENT || file_failed(e, path, "cannot be removed");
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

bool file_list(const char *folder, arena *a, const char *const **names, int64_t *count, err *e)
{
    DIR *d = opendir(folder);
    if (!d) return file_failed(e, folder, "folder cannot be opened");
    int64_t n = 0, capacity = 64;
    const char **list = ARENA_NEW(a, const char *, capacity);
    /* readdir returns NULL at the end and for an error; only errno tells them apart, and other
     * calls in the loop may have set it. */
    errno = 0;
    for (struct dirent *entry; (entry = readdir(d)); errno = 0) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        if (n == capacity) {
            /* The shorter list stays in the arena: in all, no more than the longest once again. */
            const char **longer = ARENA_NEW(a, const char *, 2 * capacity);
            memcpy(longer, list, (size_t)n * sizeof *list);
            list = longer;
            capacity *= 2;
        }
        list[n++] = arena_strdup(a, entry->d_name);
    }
    bool ok = errno == 0 || file_failed(e, folder, "folder cannot be read");
    closedir(d);
    if (n > 1) qsort(list, (size_t)n, sizeof *list, by_bytes);
    *names = list;
    *count = n;
    return ok;
}

file_walk file_walk_begin(const char *folder, err *e)
{
    file_walk w = {.memory = arena_new(1 << 12), .folder = folder, .e = e};
    w.ok = file_list(folder, w.memory, &w.names, &w.count, e);
    if (!w.ok) w.count = 0;
    return w;
}

bool file_walk_next(file_walk *w)
{
    if (!w->ok || w->at == w->count) return false;
    w->name = w->names[w->at++];
    return w->ok = file_join(w->path, w->folder, w->name, w->e);
}

bool file_walk_end(file_walk *w)
{
    arena_free(w->memory);
    return w->ok;
}

/* What has vanished meanwhile counts as removed: two processes may tidy up the same folder. lstat
 * and unlink take a link for itself, so nothing outside of the tree is touched. The folder is
 * listed and closed before the descent: no descriptors pile up, and the bound on the depth keeps
 * the recursion from the stack's end. */
static bool remove_any(const char *path, int depth, err *e)
{
    struct stat s;
    if (lstat(path, &s) != 0) return errno == ENOENT || file_failed(e, path, "cannot be looked at");
    if (!S_ISDIR(s.st_mode)) return file_remove(path, e);
    if (depth > 64) return err_set(e, "%s: folders are nested too deeply to remove", path);
    bool ok = true;
    file_walk w = file_walk_begin(path, e);
    while (ok && file_walk_next(&w)) {
        ok = remove_any(w.path, depth + 1, e);
    }
    if (!file_walk_end(&w) || !ok) return false;
    return rmdir(path) == 0 || errno == ENOENT || file_failed(e, path, "folder cannot be removed");
}

bool file_remove_tree(const char *path, err *e)
{
    return remove_any(path, 0, e);
}

/* ---- failpoints ---- */

/* SIGKILL, since it is what a batch system or the kernel does: no handler runs, no buffer is
 * flushed. */
void file_failpoint(const char *name)
{
    static int
        passed; /* of the one point that the environment names; checkpoints are one thread's */
    const char *wanted = getenv("LOCI_FAILPOINT");
    if (!wanted) return;
    size_t length = strlen(name);
    if (strncmp(wanted, name, length) != 0 || wanted[length] != ':') return;
    if (++passed == atoi(wanted + length + 1)) raise(SIGKILL);
}
