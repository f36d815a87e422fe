#include "harness/launch/launch_wait.h"

#include <signal.h>
#include <stdio.h>
#include <time.h>

#include "core/base/host.h"
#include "core/base/stop_signals.h"
#include "harness/run/run_folder.h"

/* Waiting looks at the runs' folders, which say what is done; Slurm is asked only whether anybody
 * is left who could do more. So a queue that does not answer for a while (a controller that
 * restarts) ends nothing, and a sweep that other hands finish ends the waiting, too. */

static const double QUEUE_PAUSE_S = 60;
/* A task that came back to the queue, or has just ended, is not seen for a moment. */
enum { MISSES = 3 };

static bool count_runs(supervisor_result *r, const experiment *x, const char *out, err *e)
{
    *r = (supervisor_result){0};
    for (int i = 0; i < x->run_count; i++) {
        char folder[FILE_PATH_BYTES];
        run_status now;
        err damaged;
        if (!run_folder_path(folder, out, x->runs[i].id, e)) return false;
        /* Tasks write these files at this moment; what cannot be read counts as open and is looked
         * at again. */
        if (!run_status_read(&now, folder, &damaged)) now = (run_status){.state = RUN_PLANNED};
        r->done += now.state == RUN_DONE;
        r->failed += now.state == RUN_FAILED || now.state == RUN_DIVERGED;
        r->most += now.state == RUN_RUNNING;
    }
    /* All that others may still do, begun or not. */
    r->busy = x->run_count - r->done - r->failed;
    return true;
}

/* True until no task has been seen some times in a row; Slurm that does not answer counts as seen.
 */
static bool tasks_left(const launch *l, double now, double *asked, int *misses)
{
    slurm_queue q;
    err ignored;
    if (now - *asked < QUEUE_PAUSE_S / MISSES) return true;
    *asked = now;
    /* Between two of a task's lives (requeued) it is in no list for a moment. */
    bool seen = !slurm_queue_read(&q, l->job, &ignored) || q.running + q.pending > 0;
    *misses = seen ? 0 : *misses + 1;
    return *misses < MISSES;
}

static bool changed(const supervisor_result *r, const supervisor_result *before)
{
    return r->done != before->done || r->failed != before->failed || r->most != before->most;
}

/* A line for each change, none for the passing of time: it may go into a log for days. */
static void tell(const supervisor_result *r, int all)
{
    fprintf(stderr, "%d of %d runs done, %d running, %d failed\n", r->done, all, r->most,
            r->failed);
}

/* Nobody is left to train what is open: a command before the program that fails in every task, say.
 * What was begun can be gone on with by the same command; if nothing was, it would end alike. */
static bool tell_abandoned(const supervisor_result *r, const launch *l, bool begun, bool quiet,
                           err *e)
{
    err_set(e, "job %s has ended with %d runs open; its tasks' words are in %s/log", l->job,
            r->busy, l->folder);
    if (begun && !quiet) fprintf(stderr, "%s\n", e->text);
    return begun;
}

bool launch_wait(supervisor_result *r, const launch *l, const experiment *x, const char *out,
                 bool quiet, err *e)
{
    sigset_t stops, before;
    double asked = host_monotonic_s();
    int misses = 0;
    bool ok, stopped = false, begun = false, abandoned = false;
    sigemptyset(&stops);
    stop_signals_add(&stops);
    /* Waited for in sigtimedwait, so none is lost between two looks. */
    sigprocmask(SIG_BLOCK, &stops, &before);
    /* -1: the first line is always said. */
    supervisor_result last = {.done = -1};
    while ((ok = count_runs(r, x, out, e)) && !stopped) {
        /* Many runs in one folder of a network's file system: the more, the seldomer. */
        const struct timespec pause = {.tv_sec = 1 + MIN(x->run_count / 20, 29)};
        begun = begun || r->most > 0 || (last.done >= 0 && changed(r, &last));
        if (!quiet && changed(r, &last)) tell(r, x->run_count);
        last = *r;
        abandoned = r->busy > 0 && !tasks_left(l, host_monotonic_s(), &asked, &misses);
        if (r->busy == 0 || abandoned) break;
        stopped = stop_signals_has(sigtimedwait(&stops, NULL, &pause));
    }
    if (stopped && !quiet) fprintf(stderr, "no longer waiting; job %s goes on\n", l->job);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return ok && (!abandoned || tell_abandoned(r, l, begun, quiet, e));
}
