#include "harness/supervise/supervision.h"

#include "core/base/host.h"
#include "core/base/one_line.h"
#include "harness/run/exit_status.h"

/* Policy, apart from the loop that carries it out: tests and --dry-run ask it, too. */

void supervision_gap(supervisor_result *r, const run_plan *run, const run_status *status)
{
    if (!status->gap[0] || r->gaps++ > 0) return;
    err_set(&r->gap, "%s, seed %lld: %.1000s", run->label, (long long)run->seed, status->gap);
}

void supervision_gaps_say(FILE *print, const supervisor_result *r)
{
    bool one = r->gaps == 1;
    if (r->gaps == 0) return;
    one_line_print(print, "loci: warning: %d run%s%s: %s", r->gaps,
                   one ? " has a gap" : "s have gaps", one ? "" : "; the first", r->gap.text);
}

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
