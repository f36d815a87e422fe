#include "harness/train/rank_help.h"

#include "harness/evaluate/rank_calls.h"
#include "harness/evaluate/routing_trace.h"
#include "harness/train/checkpoint.h"

/* The other ranks have no course of their own. They wait for a word of rank 0, do their part of it
 * with the same functions that rank 0 calls, which meet in the exchanges inside, and wait again.
 * Those functions ask others only on rank 0 (rank_calls.h), so no question is asked twice.
 *
 * Two kinds of failure: one that all ranks share by an agreement inside the call (told), which rank
 * 0 reports and after which all go on; and one that breaks the group or was noticed here alone,
 * which ends this rank. */

/* The sample of routing that this rank sees goes to rank 0, which compares it. */
static bool evaluate_part(workload *w, trainer *t, const rank_request *q, err *e)
{
    CHECK(t, "request %lld without a trainer", (long long)q->call);
    eval_task task = workload_evaluation(w, t->values, 1, NULL);
    eval_watch watch;
    if (q->call == RANK_EVALUATE_TRACED) {
        task.threads = (int)q->numbers[2]; /* each has a place in the trace */
        watch = routing_trace_begin(t->routing, &task);
        task.watch = &watch;
    }
    return evaluate_help(&task, q, e);
}

/* What fails on all ranks alike, and was told to all, is rank 0's to report: this one waits on. */
static bool answer(workload *w, trainer **t, const rank_request *q, err *e)
{
    char path[FILE_PATH_BYTES];
    train_report ignored;
    err told;
    switch ((rank_call)q->call) {
    case RANK_TRAINER:
        *t =
            trainer_new(w, (int)q->numbers[2], (train_length){q->numbers[0], q->numbers[1]}, &told);
        return ranks_whole(w->ranks, e);
    case RANK_LOAD: /* the path comes with it, and the call asks for it */
        path[0] = 0;
        checkpoint_load(path, *t, &told);
        return ranks_whole(w->ranks, e);
    case RANK_STEP:
        file_failpoint("helped_step");
        return trainer_step(*t, &ignored, e);
    case RANK_EVALUATE:
    case RANK_EVALUATE_TRACED:
        return evaluate_part(w, *t, q, e);
    case RANK_STATES:
        return trainer_gather_states(*t, e);
    case RANK_TEXT:
        workload_text_stands(w, &told);
        return ranks_whole(w->ranks, e);
    case RANK_DROP:
        trainer_free(*t);
        *t = NULL;
        return true;
    case RANK_OPEN:
    case RANK_CLOSE:
    case RANK_LEAVE:
    default:
        return err_set(e, "rank %d: a request %lld while a run is open", ranks_me(w->ranks),
                       (long long)q->call);
    }
}

/* Until rank 0 closes the run, or something fails: then the trainer goes, and the caller ends the
 * rank. */
bool rank_help_run(workload *w, err *e)
{
    trainer *t = NULL;
    rank_request q;
    bool ok;
    while ((ok = rank_calls_hear(w->ranks, &q, e)) && q.call != RANK_CLOSE) {
        if (!(ok = answer(w, &t, &q, e))) break;
    }
    trainer_free(t);
    return ok;
}
