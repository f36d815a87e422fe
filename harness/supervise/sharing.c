#include "harness/supervise/sharing.h"

#include <stdio.h>

#include "core/base/file.h"
#include "core/base/file_lock.h"

/* The tasks of an array do not know each other. What each sees is its own queue: runs that others
 * hold, runs of which it is not known whether their holder lives, and runs that wait for a source.
 * From that each decides alone whether it is still needed:
 *
 *   something goes on here, or a holder is doubted   stay: what is doubted may have to be taken
 *                                                    over
 *   runs wait for a source that others train         as many tasks stay as those runs will fill, by
 *                                                    locks on NAME.waiter-0, -1, ...
 *   only runs that living others hold                leave, with the node
 *
 * A waiter that is killed gives its place up with its lock, and another task that is still there
 * takes it. The last task to have nothing held and nothing to begin ends by the loop itself: its
 * queue is empty. A task that left too early costs time (a node less at the end), never a run:
 * whoever is left, or the next `loci run`, takes what remains. */

/* The k-th place among those who wait; -1 if somebody has it, or it cannot be asked for. */
static int take_place(const supervisor *s, int k)
{
    char folder[FILE_PATH_BYTES], name[FILE_PATH_BYTES], path[FILE_PATH_BYTES];
    snprintf(name, sizeof name, "%.200s.waiter-%d", s->x->spec->name, k);
    if (!file_join(folder, s->o->out, "experiments", NULL) || !file_join(path, folder, name, NULL))
        return -1;
    /* The descriptor stays open as long as the task waits. */
    int fd = file_lock(path, LOCK_EX | LOCK_NB, NULL);
    return fd >= 0 ? fd : -1;
}

/* Whether it is this task that waits for sources. */
static bool waits(supervisor *s)
{
    /* Of the tasks alike: each has as many slots as this one. */
    int places = (s->left.waiting + s->slots - 1) / s->slots;
    for (int k = 0; k < places && s->waiter < 0; k++) {
        s->waiter = take_place(s, k);
    }
    return s->waiter >= 0;
}

bool sharing_may_leave(supervisor *s)
{
    if (!s->o->shares || s->stops || s->active > 0 || s->left.doubted > 0) return false;
    if (s->left.waiting > 0 && waits(s)) return false;
    /* With nothing held and nothing to begin the loop ends by itself; leaving here would call runs
     * busy that nobody has. */
    return s->left.held > 0;
}
