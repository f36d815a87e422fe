#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/file.h"

bool file_make_folders(const char *path, err *e)
{
    char part[FILE_PATH_BYTES];
    int n = snprintf(part, sizeof part, "%s", path);
    if (n >= (int)sizeof part) return err_set(e, "%.200s...: path is too long", path);
    struct stat s;
    if (stat(path, &s) == 0 && S_ISDIR(s.st_mode)) return true; /* mostly */
    /* Every prefix that ends before a '/' is made in turn, the whole path last. EEXIST is no
     * failure: another process may have made it, and whether it is a folder is asked at the end. */
    for (char *c = part + 1; n > 0; c++) {
        char was = *c;
        if (was != '/' && was != 0) continue;
        *c = 0;
        bool made = mkdir(part, 0777) == 0;
        if (!made && errno != EEXIST) return file_failed(e, part, "folder cannot be made");
        /* What is synced in it would be lost with its name. */
        if (made && !file_sync_name(part, e)) return false;
        *c = was;
        if (was == 0) break;
    }
    if (stat(path, &s) != 0) return file_failed(e, path, "folder cannot be made");
    return S_ISDIR(s.st_mode) || err_set(e, "%s: is not a folder; remove or rename it", path);
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

void file_named_folder(char out[FILE_PATH_BYTES], const char *path)
{
    char there[PATH_MAX];
    size_t n = (size_t)snprintf(out, FILE_PATH_BYTES, "%s", path);
    /* With a slash behind it a link is asked for as the folder. */
    while (n < FILE_PATH_BYTES && n > 1 && out[n - 1] == '/')
        out[--n] = 0;
    if (file_is_link(out) && realpath(out, there)) snprintf(out, FILE_PATH_BYTES, "%s", there);
}

static DIR *open_folder(const char *folder, int flags)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC | flags);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d && fd >= 0) close(fd);
    return d;
}

static bool list(const char *folder, int flags, arena *a, const char *const **names, int64_t *count,
                 err *e)
{
    DIR *d = open_folder(folder, flags);
    if (!d && (flags & O_NOFOLLOW) && file_is_link(folder)) return file_refuse_link(folder, e);
    if (!d) return file_failed(e, folder, "folder cannot be opened");
    int64_t n = 0, capacity = 64;
    const char **found = ARENA_NEW(a, const char *, capacity);
    /* readdir returns NULL at the end and for an error; only errno tells them apart, and other
     * calls in the loop may have set it. */
    errno = 0;
    for (struct dirent *entry; (entry = readdir(d)); errno = 0) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        if (n == capacity) {
            /* The shorter list stays in the arena: in all, no more than the longest once again. */
            const char **longer = ARENA_NEW(a, const char *, 2 * capacity);
            memcpy(longer, found, (size_t)n * sizeof *found);
            found = longer;
            capacity *= 2;
        }
        found[n++] = arena_strdup(a, entry->d_name);
    }
    bool ok = errno == 0 || file_failed(e, folder, "folder cannot be read");
    closedir(d);
    if (n > 1) qsort(found, (size_t)n, sizeof *found, by_bytes);
    *names = found;
    *count = n;
    return ok;
}

bool file_list(const char *folder, arena *a, const char *const **names, int64_t *count, err *e)
{
    return list(folder, O_NOFOLLOW, a, names, count, e);
}

bool file_list_named(const char *folder, arena *a, const char *const **names, int64_t *count,
                     err *e)
{
    return list(folder, 0, a, names, count, e);
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
    if (depth > FILE_DEPTH) return err_set(e, "%s: folders are nested too deeply to remove", path);
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
