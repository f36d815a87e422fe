#include "harness/run/worker_help.h"

#include <signal.h>

#include "core/base/stop_signals.h"
#include "harness/evaluate/rank_calls.h"
#include "harness/run/run_record.h"
#include "harness/train/rank_help.h"

static void ignore(int number)
{
    (void)number;
}

/* The run that rank 0 opens. */
static bool help_run(rank_group *r, err *e)
{
    char folder[FILE_PATH_BYTES], runs[FILE_PATH_BYTES];
    planned_run plan = {0};
    workload w = {0};
    err why = {{0}};
    if (!rank_calls_path(r, folder, e)) return false;
    arena_auto *memory = arena_new(1 << 16);
    bool opened = file_join(runs, folder, "..", &why) &&
                  run_record_plan_read(&plan, memory, folder, &why) &&
                  workload_open_beside(&w, plan.spec, plan.seed, &plan.places, runs, &why);
    if (!opened) err_prefix(&why, "rank %d", ranks_me(r));
    bool all = ranks_agree(r, opened, &why), ok = ranks_whole(r, e);
    w.ranks = r;
    if (all) ok = rank_help_run(&w, e);
    if (opened) workload_close(&w);
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
