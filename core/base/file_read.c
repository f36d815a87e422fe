#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/file.h"

/* Files are opened first and asked what they are afterwards, by the descriptor: a question about
 * the path could be answered by another file than the one that is opened. */

/* Asked of the descriptor, which is closed if it is none. */
static bool is_regular(int fd, const char *path, int64_t *bytes, err *e)
{
    struct stat s;
    bool looked = fstat(fd, &s) == 0;
    if (looked && S_ISREG(s.st_mode)) {
        if (bytes) *bytes = s.st_size;
        return true;
    }
    if (!looked) file_failed(e, path, "cannot be read");
    if (looked) err_set(e, "%s: is not a file; give the path of a regular file", path);
    close(fd);
    return false;
}

/* Whose path it is: one that a user names leads where the user made it lead. Or the descriptor of
 * the folder that the file lies in. */
enum { LINKS = -2, NO_LINKS = -1 };

/* O_PATH: a folder that may be searched and not read will do. */
int file_open_folder(const char *folder)
{
    return open(folder, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* The folder first, then the name in it, neither through a link: nobody can put one there between
 * two questions. */
static int open_in_folder(const char *path, int folder, int flags)
{
    char parent[FILE_PATH_BYTES];
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    if (folder >= 0) return openat(folder, name, flags | O_NOFOLLOW);
    if (!slash) return openat(AT_FDCWD, name, flags | O_NOFOLLOW);
    if (strlen(path) >= sizeof parent) return errno = ENAMETOOLONG, -1;
    file_parent(parent, path);
    int within = file_open_folder(parent);
    if (within < 0) return -1;
    int fd = openat(within, name, flags | O_NOFOLLOW), why = errno;
    close(within);
    errno = why;
    return fd;
}

/* Why nothing was opened, which errno says. */
static bool told_link(const char *path, err *e)
{
    char folder[FILE_PATH_BYTES];
    int why = errno;
    bool may = why == ELOOP || why == ENOTDIR;
    file_parent(folder, path);
    bool is = may && (!file_refuse_link(path, e) || !file_refuse_link(folder, e));
    errno = why;
    return is;
}

/* A pipe without a writer would be waited for, a terminal would become the process's own.
 * O_NONBLOCK and O_NOCTTY keep `open` itself from doing so; for regular files they mean nothing. */
static int open_regular(const char *path, int how, int64_t *bytes, err *e)
{
    const int flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
    int fd = how == LINKS ? open(path, flags) : open_in_folder(path, how, flags);
    if (fd < 0) {
        if (how == LINKS || !told_link(path, e)) file_failed(e, path, "cannot be opened");
        return -1;
    }
    return is_regular(fd, path, bytes, e) ? fd : -1;
}

int file_open(const char *path, int64_t *bytes, err *e)
{
    return open_regular(path, NO_LINKS, bytes, e);
}

int file_open_named(const char *path, int64_t *bytes, err *e)
{
    return open_regular(path, LINKS, bytes, e);
}

/* The check before gives the better sentence; O_NOFOLLOW is what holds if a link is put there
 * meanwhile. `wanted` is the file that was asked for, and told where nothing can be made. */
static int open_own(const char *path, const char *wanted, int flags, err *e)
{
    const int always = O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
    if (!file_refuse_link(path, e)) return -1;
    int fd = open(path, flags | always, 0666);
    if (fd < 0) {
        file_failed(e, wanted, path == wanted ? "cannot be opened" : "cannot be written");
        return -1;
    }
    return is_regular(fd, path, NULL, e) ? fd : -1;
}

int file_open_own(const char *path, int flags, err *e)
{
    return open_own(path, path, flags, e);
}

/* O_TRUNC: one that a killed process left holds what was to be another file. */
int file_open_temporary(char name[FILE_PATH_BYTES], const char *path, int flags, err *e)
{
    return file_temporary(name, path, e) ? open_own(name, path, flags | O_TRUNC, e) : -1;
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
static char *read_whole(arena *a, const char *path, int how, size_t *bytes, err *e)
{
    int64_t length;
    int fd = open_regular(path, how, &length, e);
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
    return read_whole(NULL, path, NO_LINKS, bytes, e);
}

char *file_read_in(int folder, const char *path, size_t *bytes, err *e)
{
    return read_whole(NULL, path, folder, bytes, e);
}

char *file_read_named(const char *path, size_t *bytes, err *e)
{
    return read_whole(NULL, path, LINKS, bytes, e);
}

char *file_read_arena(arena *a, const char *path, size_t *bytes, err *e)
{
    return read_whole(a, path, NO_LINKS, bytes, e);
}

char *file_read_arena_named(arena *a, const char *path, size_t *bytes, err *e)
{
    return read_whole(a, path, LINKS, bytes, e);
}

/* The mapping outlives the descriptor. Private and read-only: pages are the kernel's cache, shared
 * by all runs of a sweep on a machine, and are dropped under pressure without being written
 * anywhere. */
static bool map_open(file_map *map, const char *path, int how, err *e)
{
    *map = (file_map){.data = (const unsigned char *)"", .bytes = 0};
    int64_t bytes;
    int fd = open_regular(path, how, &bytes, e);
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

bool file_map_open(file_map *map, const char *path, err *e)
{
    return map_open(map, path, NO_LINKS, e);
}

bool file_map_open_named(file_map *map, const char *path, err *e)
{
    return map_open(map, path, LINKS, e);
}

void file_map_close(file_map *map)
{
    if (map->bytes > 0) munmap((void *)(uintptr_t)map->data, map->bytes);
    *map = (file_map){.data = (const unsigned char *)"", .bytes = 0};
}

/* Read piece by piece: to map a file and to give the map back stops all other threads. The
 * descriptor is closed; one that is none is what opening has told. */
static bool sha256_of(char hex[SHA256_HEX], int fd, const char *path, err *e)
{
    enum { PIECE = 1 << 14 };
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

bool file_sha256(char hex[SHA256_HEX], const char *path, err *e)
{
    return sha256_of(hex, file_open(path, NULL, e), path, e);
}

bool file_sha256_in(char hex[SHA256_HEX], int folder, const char *path, err *e)
{
    return sha256_of(hex, open_regular(path, folder, NULL, e), path, e);
}

bool file_sha256_named(char hex[SHA256_HEX], const char *path, err *e)
{
    return sha256_of(hex, file_open_named(path, NULL, e), path, e);
}
