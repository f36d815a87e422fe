/* How a run ended: what its worker recorded itself, or what its process's death tells. */
#pragma once

#include "harness/run/run_status.h"

/* The status to show for a worker that ended with `wait_status` (of waitpid); what the worker could
 * not record itself is written into its folder, unless another worker has that: RUN_RUNNING.
 * timed_out: it was stopped because it took too long. * kills: what cgroup_oom_kills said before;
 * brought up to date. */
run_status run_end(const char *folder, int wait_status, bool timed_out, int64_t *kills);
/* The same for one that only evaluated or mended a finished run: RUN_DONE, or why it did not; the
 * folder's status stays as it is, unless the evaluation showed a blow-up and the worker said so
 * there. */
run_status run_end_evaluation(const char *folder, int wait_status, bool timed_out, int64_t *kills);
