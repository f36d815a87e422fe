#include "results/store/store_vfs.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

static const char NAME[] = "loci";

/* path: NULL for a temporary file. */
static bool is_odd(const char *path)
{
    struct stat s;
    return path && stat(path, &s) == 0 && !S_ISREG(s.st_mode);
}

static int open_file(sqlite3_vfs *vfs, const char *path, sqlite3_file *file, int flags, int *out)
{
    (void)vfs;
    sqlite3_vfs *system = sqlite3_vfs_find(NULL);
    /* SQLite looks at `methods` also of what could not be opened. */
    file->pMethods = NULL;
    if (flags & SQLITE_OPEN_SUPER_JOURNAL || is_odd(path)) return SQLITE_CANTOPEN;
    return system->xOpen(system, path, file, flags, out);
}

/* The system's, but for how files are opened; SQLite keeps the pointer as long as the process
 * lives. */
const char *store_vfs(void)
{
    static sqlite3_vfs own;
    if (sqlite3_initialize() != SQLITE_OK) return NULL;
    if (sqlite3_vfs_find(NAME)) return NAME;
    own = *sqlite3_vfs_find(NULL);
    own.pNext = NULL;
    own.zName = NAME;
    own.xOpen = open_file;
    return sqlite3_vfs_register(&own, 0) == SQLITE_OK ? NAME : NULL;
}
