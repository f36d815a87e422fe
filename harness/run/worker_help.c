#include "harness/run/worker_help.h"

#include <signal.h>

#include "core/base/stop_signals.h"
#include "harness/evaluate/rank_calls.h"
#include "harness/run/rank_alike.h"
#include "harness/run/run_open.h"
#include "harness/train/rank_help.h"

/* A rank other than 0 has no will of its own: it hears what rank 0 asks next and does its part.
 * Three loops, one inside the other, each with the requests that make sense there:
 *
 *   worker_help      which run is opened; RANK_LEAVE ends it
 *   help_run         one run, opened from the same folder with the same words
 *   rank_help_run    its trainer, steps and evaluations (train/rank_help.h), until RANK_CLOSE
 *
 * Whether opening worked is agreed upon by all before anybody goes on: a folder that one rank
 * cannot see would otherwise leave the others waiting in the first exchange. */

/* A handler that does nothing, rather than SIG_IGN, which programs that are started would inherit.
 * mpirun sends the signal to all ranks; rank 0 decides at which step it counts, or ranks would stop
 * at different ones. */
static void ignore(int number)
{
    (void)number;
}

/* The run that rank 0 opens. */
static bool help_run(rank_group *r, err *e)
{
    char folder[FILE_PATH_BYTES];
    planned_run plan = {0};
    workload w = {0};
    err why = {0};
    if (!rank_calls_path(r, folder, e)) return false;
    arena_auto *memory = arena_new(1 << 16);
    bool opened =
        run_record_plan_read(&plan, memory, folder, &why) && run_open(&w, &plan, folder, &why);
    /* Whichever rank fails, rank 0 tells it: the text travels by ranks_agree. */
    if (!opened) err_prefix(&why, "rank %d", ranks_me(r));
    bool all = ranks_agree(r, opened, &why) && rank_alike_run(r, &w, &plan, &why);
    bool ok = ranks_whole(r, e);
    w.ranks = r;
    if (all) ok = rank_help_run(&w, e);
    if (opened) workload_close(&w);
    /* The plan's nodes lie in this function's arena, its strings in the record: both outlive the
     * workload. */
    json_decref(plan.record);
    return ok;
}

bool worker_help(rank_group *r, err *e)
{
    rank_request q;
    stop_signals_catch(ignore);
    signal(SIGUSR1, ignore);
    while (rank_calls_hear(r, &q, e)) {
        if (q.call == RANK_LEAVE) return true;
        /* Between two runs nothing else can be asked; another number is a broken message or another
         * version. */
        if (q.call != RANK_OPEN) return err_set(e, "rank %d: no run is open", ranks_me(r));
        if (!help_run(r, e)) return false;
    }
    return false;
}

void worker_help_end(rank_group *r)
{
    err lost;
    rank_calls_ask(r, RANK_LEAVE, &lost);
}
