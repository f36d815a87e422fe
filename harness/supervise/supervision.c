#include "harness/supervise/supervision.h"

#include "core/base/host.h"
#include "harness/run/exit_status.h"

/* Policy, apart from the loop that carries it out: tests and --dry-run ask it, too. */

bool supervision_retries(const supervisor_options *o, run_state state)
{
    retry_kind own = state == RUN_FAILED ? RETRY_FAILED : RETRY_DIVERGED;
    return o->retry == RETRY_ALL || o->retry == own;
}

int supervision_jobs(const supervisor_options *o, int count)
{
    /* All ranks work on one run. */
    if (o->ranks) return 1;
    int jobs = o->jobs > 0 ? o->jobs : host_cores() / MAX(o->threads, 1);
    return MAX(1, MIN(jobs, count));
}

int supervision_exit(const supervisor_result *r)
{
    /* Interrupted comes before failed: the same command has something to do, and a batch system
     * that requeues on 75 should. After giving up the failures are what is to be told. */
    bool left = r->interrupted || (r->busy && !r->shared);
    if (left && !r->gave_up) return EXIT_INTERRUPTED;
    return r->failed ? EXIT_RUNS_FAILED : EXIT_DONE;
}
