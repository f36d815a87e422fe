#include "harness/supervise/sharing.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

#include "core/base/file.h"

/* The k-th place among those who wait; -1 if somebody has it, or it cannot be asked for. */
static int take_place(const supervisor *s, int k)
{
    char folder[FILE_PATH_BYTES], name[FILE_PATH_BYTES], path[FILE_PATH_BYTES];
    snprintf(name, sizeof name, "%.200s.waiter-%d", s->x->spec->name, k);
    if (!file_join(folder, s->o->out, "experiments", NULL) || !file_join(path, folder, name, NULL))
        return -1;
    int fd = file_open_own(path, O_RDWR, NULL);
    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) == 0) return fd;
    close(fd);
    return -1;
}

/* Whether it is this task that waits for sources. */
static bool waits(supervisor *s)
{
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
    return s->left.held > 0;
}
