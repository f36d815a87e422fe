#include "harness/supervise/manage_holders.h"

#include <stdlib.h>
#include <time.h>

#include "core/base/host.h"
#include "harness/run/run_folder.h"
#include "harness/supervise/holder_watch.h"

/* A holder that has the lock is seen by whoever tries to take it, and one that was of this machine
 * is known by the lock alone. Left are lines of other machines beside a lock that can be had: of a
 * process that died there, or of one that goes on. */
int64_t manage_holders(bool *at_work, char who[RUN_HOLDER_BYTES], const char *out,
                       const char *const *ids, int64_t count)
{
    const struct timespec pause = {.tv_nsec = 200000000};
    holder_watch *watches = calloc((size_t)count + 1, sizeof *watches);
    CHECK(watches, "out of memory for %lld runs", (long long)count);
    int64_t doubted, beating = 0;
    do {
        doubted = beating = 0;
        for (int64_t i = 0; i < count; i++) {
            char folder[FILE_PATH_BYTES];
            at_work[i] = false;
            if (!run_folder_path(folder, out, ids[i], NULL)) continue;
            holder_state state = holder_watch_look(&watches[i], folder, host_monotonic_s());
            doubted += state == HOLDER_DOUBTED;
            at_work[i] = state == HOLDER_UNLOCKED;
            if (at_work[i] && beating++ == 0) run_lease_text(who, &watches[i].seen);
            /* Nobody's: not to be asked for again while others are watched. */
            if (state == HOLDER_NONE || state == HOLDER_DEAD) watches[i].next_look = 1e300;
        }
        if (doubted > 0) nanosleep(&pause, NULL);
    } while (doubted > 0);
    free(watches);
    return beating;
}
