/* Finding corpora and locking the cache.
 *
 * A path is tried as it stands, beside the spec that names it, then below each folder of corpora; a
 * corpus without a path is looked for by the names that its kind has, folder by folder, so that a
 * user's own folder (first in the list) wins over the project's. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/file_lock.h"
#include "data/corpus_class.h"

/* With links resolved: the same file by two ways is one corpus, and a run may be continued from
 * another folder. */
static const char *absolute(const char *path, arena *a)
{
    text_auto *full = realpath(path, NULL);
    if (!full) return NULL;
    return arena_strdup(a, full);
}

/* folder/name if that exists. */
static const char *below(const char *folder, const char *name, arena *a)
{
    char path[FILE_PATH_BYTES];
    if (!file_join(path, folder, name, NULL) || !file_exists(path)) return NULL;
    return absolute(path, a);
}

/* In the folder of the spec that names it, so that a spec and its text can be moved together. */
static const char *beside(const char *file, const char *name, arena *a)
{
    const char *slash = file ? strrchr(file, '/') : NULL;
    if (!slash || slash - file >= FILE_PATH_BYTES) return NULL;
    char folder[FILE_PATH_BYTES];
    snprintf(folder, sizeof folder, "%.*s", (int)(slash - file + 1), file);
    return below(folder, name, a);
}

const char *corpus_find_file(const char *path, const node *at, const char *const *roots, arena *a)
{
    const char *found = NULL;
    /* From the current folder first, as any program would read it. */
    if (file_exists(path)) found = absolute(path, a);
    /* An absolute path means one file: to look for another of that name elsewhere would train on
     * the wrong text. */
    if (path[0] == '/') return found;
    if (!found) found = beside(at->file, path, a);
    /* The order of the roots is the user's: --data, LOCI_DATA, then the project's own. */
    for (int i = 0; roots[i] && !found; i++) {
        found = below(roots[i], path, a);
    }
    return found;
}

static const char *find_candidate(const corpus_class *cls, const char *const *roots, arena *a)
{
    /* A root that has only a small set comes before another that has the whole: nearer is what the
     * user said, not what is larger. */
    for (int i = 0; roots[i]; i++) {
        /* From the whole set to the small ones that stand in for it. */
        for (int j = 0; cls->candidates[j]; j++) {
            const char *found = below(roots[i], cls->candidates[j], a);
            if (found) return found;
        }
    }
    return NULL;
}

static void list_roots(char *list, size_t bytes, const char *const *roots)
{
    list[0] = 0;
    for (int i = 0; roots[i]; i++) {
        size_t used = strlen(list);
        snprintf(list + used, bytes - used, "%s%s", i ? ", " : "", roots[i]);
    }
    if (!roots[0]) snprintf(list, bytes, "no data folder");
}

const char *corpus_find(const corpus_class *cls, const char *path, const node *spec,
                        const char *const *roots, arena *a, err *e)
{
    char looked[512];
    list_roots(looked, sizeof looked, roots);
    if (path) {
        /* The place of the option, where there is one: that is where the user has to look. */
        const node *at = node_get(spec, "path");
        const char *found = corpus_find_file(path, at ? at : spec, roots, a);
        if (!found) {
            node_err(e, at ? at : spec, "'%s' is not there (nor below %s); %s%s", path, looked,
                     *cls->get ? "get it with " : "give a file or folder with text", cls->get);
        }
        return found;
    }
    const char *found = find_candidate(cls, roots, a);
    if (!found) {
        node_err(e, spec,
                 "corpus '%s' was not found below %s; get it with %s, or name its folder "
                 "with `path`, --data or LOCI_DATA",
                 cls->name, looked, cls->get);
    }
    return found;
}

/* Waits: what another process prepares is what this one needs. The lock goes with the process,
 * however it ends. */
int corpus_cache_lock(const char *cache, err *e)
{
    char path[FILE_PATH_BYTES];
    if (!file_make_folders(cache, e) || !file_join(path, cache, "lock", e)) return -1;
    /* One lock for all of the cache: preparing keeps all cores busy anyway, and two processes that
     * train one tokenizer would write one file. */
    return file_lock(path, LOCK_EX, e);
}

void corpus_cache_unlock(int lock)
{
    if (lock >= 0) close(lock);
}
