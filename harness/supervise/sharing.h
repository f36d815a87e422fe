/* One of several tasks that share a sweep (a batch system's array): when it may end.
 *
 * Tasks are anonymous: each takes whatever run is free. One that finds nothing to begin has no
 * reason to hold its node, unless runs wait for a source that another task trains: somebody must be
 * there when it is done. As many tasks stay as those runs need, by locks beside the experiment's
 * record. */
#pragma once

#include "harness/supervise/supervisor_jobs.h"

/* True if nothing goes on here, nothing can be begun, and what is left is in living hands. */
bool sharing_may_leave(supervisor *s);
