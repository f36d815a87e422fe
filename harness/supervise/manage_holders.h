/* Runs whose lock can be had here though somebody on another machine works on them: the mount does
 * not lock across machines (supervise/holder_watch.h). To be asked before their files are removed
 * or replaced. */
#pragma once

#include "harness/run/run_lease.h"

/* Watches those of `ids` whose lock file names a holder on another machine, all at once, until each
 * has beaten or been silent for long enough: 25 s where one has died, no time where there is none.
 * at_work [count]: beats without a lock. The number of those, who works on the first of them. */
int64_t manage_holders(bool *at_work, char who[RUN_HOLDER_BYTES], const char *out,
                       const char *const *ids, int64_t count);
