#include "harness/run/worker_eval.h"

#include <stdio.h>

#include "core/base/host.h"
#include "harness/evaluate/diagnose.h"
#include "harness/evaluate/eval_keep.h"
#include "harness/run/run_lines.h"
#include "harness/run/run_verdict.h"
#include "harness/run/worker_best.h"
#include "harness/run/worker_status.h"

/* Who looks on costs time, and has one call at a time: only where there are experts. */
bool worker_eval_traces(const workload *w, int64_t steps)
{
    return params_have_pieces(model_params_const(w->model)) &&
           w->eval.dynamic.kind == DYNAMIC_NONE && 2 * steps >= w->train.eval_every;
}

/* Not at step 0, where a continued run has nothing to say; not twice at the same step (eval_at
 * comes with the checkpoint). */
bool worker_eval_due(const worker *w)
{
    const train_progress *p = &w->trainer->progress;
    int64_t every = w->work.train.eval_every;
    return every > 0 && p->step > 0 && p->step % every == 0 && p->eval_at != p->step;
}

/* While an evaluation goes on. */
static void tell_share(void *user, int64_t tokens, int64_t of, double seconds)
{
    worker *w = user;
    w->status.eval_share = of > 0 ? (double)tokens / (double)of : 0;
    w->status.eval_seconds = seconds;
    worker_status_tell(w, host_monotonic_s());
}

static bool may_write(void *user, err *e)
{
    return run_lease_holds(((worker *)user)->lease, e);
}

void worker_eval_lost(void *user, const char *line)
{
    (void)user;
    fprintf(stderr, "%s\n", line);
}

/* An evaluation with what its task borrows. */
typedef struct named_eval {
    eval_task task;
    char id[EVAL_ID_CHARS], losses[FILE_PATH_BYTES], part[FILE_PATH_BYTES];
    eval_keep keep;
    eval_watch watch;
} named_eval;

/* Without what only looks on. */
static eval_task task_of(const worker *w)
{
    return workload_evaluation(&w->work, w->trainer->values, w->plan.threads, w->stop);
}

void worker_eval_id(char id[EVAL_ID_CHARS], const worker *w)
{
    const eval_task task = task_of(w);
    eval_record_task_id(id, &task, w->plan.run, w->trainer->progress.step);
}

/* Files are named by the evaluation's identity, so that another one's part (other options, an
 * earlier step) is never taken for this one's. */
static bool prepare(worker *w, named_eval *x, bool final, err *e)
{
    const workload *work = &w->work;
    const train_progress *p = &w->trainer->progress;
    char name[64];
    x->task = task_of(w);
    /* Slices and losses per token are of the final evaluation only: those on the way are there to
     * be seen, not to be compared. */
    x->task.slices = final;
    x->task.reader = (eval_reader){tell_share, w, NULL};
    worker_eval_id(x->id, w);
    snprintf(name, sizeof name, "losses-%s.f32", x->id);
    if (!file_join(x->losses, w->folder, name, e) ||
        !eval_keep_path(x->part, w->folder, x->id, e)) {
        return false;
    }
    /* As often as training saves itself: the same time may be lost. */
    x->keep = (eval_keep){x->part, work->train.checkpoint_seconds, may_write, w, worker_eval_lost};
    x->task.keep = &x->keep;
    if (final && work->eval.losses) x->task.losses_path = x->losses;
    if (worker_eval_traces(work, p->step - p->eval_at)) {
        x->watch = routing_trace_begin(w->trainer->routing, &x->task);
        x->task.watch = &x->watch;
    }
    return true;
}

/* From its line on the evaluation exists, and the final one's says that the run has ended, should
 * its status be lost: the model that is kept for it comes before. eval_at is set after it, and
 * saved by the next checkpoint only: killed in between, the line is cut off and made again. What
 * was kept on the way can be used until all is there, and goes last. */
static bool record(worker *w, const named_eval *x, const evaluation *r, json_t *more, bool final,
                   err *e)
{
    train_progress *p = &w->trainer->progress;
    json_auto_t *line = eval_record(r, &x->task, x->id, p->step, p->tokens, final);
    json_t *layers = x->task.watch ? routing_trace_end(w->trainer->routing) : NULL;
    if (layers) json_object_set_new(line, "layers", layers);
    json_object_update_recursive(line, more);
    if (final) run_verdict_note(line, run_verdict_training(p));
    w->evaluated = run_verdict_evaluated(line);
    if (w->work.train.keep_best && !worker_best_keep(w, line, e)) return false;
    if (!run_lease_holds(w->lease, e) || !run_lines_append_record(w->evals, line, e)) return false;
    if (final && !run_record_final(w->folder, &w->plan, e)) return false;
    p->eval_at = p->step;
    file_failpoint("eval_line");
    return eval_keep_clear(w->folder, e);
}

outcome worker_eval(worker *w, bool final, err *e)
{
    named_eval x = {0};
    evaluation r;
    json_t *more;
    if (!prepare(w, &x, final, e)) return WENT_WRONG;
    /* Nothing to free: more and r are set only by an evaluation that went well. */
    if (!diagnose_evaluation(&r, &more, &x.task, final, e)) return WENT_WRONG;
    outcome o = STOPPED;
    file_failpoint("evaluated");
    if (!r.stopped) {
        w->status.eval_share = w->status.eval_seconds = 0;
        o = record(w, &x, &r, more, final, e) ? WENT_WELL : WENT_WRONG;
    }
    json_decref(more);
    evaluate_deinit(&r);
    return o;
}
