#include "results/store/stale_mark.h"

#include <unistd.h>

#include "core/base/file.h"
#include "core/base/file_lock.h"

/* Those who change something share the mark's lock, a collector must have it alone. So a mark whose
 * change goes on is not taken away by another's collection, which saw but half of the change; and
 * that of a process which was killed can be taken at once. */

static bool mark_path(char path[FILE_PATH_BYTES], const char *out, err *e)
{
    return file_join(path, out, "loci.db.stale", e);
}

int stale_mark_set(const char *out, err *e)
{
    char path[FILE_PATH_BYTES];
    if (!mark_path(path, out, e)) return -1;
    int mark = file_lock(path, LOCK_SH, e);
    /* Its name has to be on the disk before the first change is. */
    if (mark < 0 || file_sync_name(path, e)) return mark;
    close(mark);
    return -1;
}

bool stale_mark_stands(const char *out)
{
    char path[FILE_PATH_BYTES];
    return mark_path(path, out, NULL) && file_exists(path);
}

int stale_mark_claim(const char *out)
{
    char path[FILE_PATH_BYTES];
    /* Asked first: taking the lock of a file that is not there makes it. */
    if (!mark_path(path, out, NULL) || !file_exists(path)) return -1;
    int mark = file_lock(path, LOCK_EX | LOCK_NB, NULL);
    return MAX(mark, -1);
}

void stale_mark_clear(const char *out, int claimed)
{
    char path[FILE_PATH_BYTES];
    if (claimed < 0) return;
    /* Removed with the lock in hand: who waits for it makes another mark. */
    if (mark_path(path, out, NULL)) file_remove(path, NULL);
    close(claimed);
}
