#include "harness/run/worker_save.h"

#include "core/base/host.h"
#include "harness/run/run_lines.h"
#include "harness/train/checkpoint.h"

void worker_save_note(worker *w)
{
    const train_progress *p = &w->trainer->progress;
    w->saved_at = host_monotonic_s();
    w->saved_step = p->step;
    w->saved_eval = p->eval_at;
}

/* Whether what was trained may be written: the folder is ours, and the text what it was. */
static bool may_save(const worker *w, err *e)
{
    return run_lease_holds(w->lease, e) && workload_text_stands(&w->work, e);
}

bool worker_save(worker *w, err *e)
{
    const train_progress *p = &w->trainer->progress;
    /* The same step can be saved twice: once before its evaluation, and once after, so that it is
     * not made again. */
    if (p->step == w->saved_step && p->eval_at == w->saved_eval) return true;
    if (!may_save(w, e)) return false;
    /* What the checkpoint says was logged must be on the disk before it. */
    if (!run_lines_append(w->metrics, "", 0, true, e)) return false;
    if (!checkpoint_save(w->checkpoint, w->trainer, w->plan.run, e)) return false;
    worker_save_note(w);
    return true;
}

/* Before anything that says the step is done: if killed in between, it is kept on the way again. */
bool worker_save_model(worker *w, const char *name, const checkpoint_merit *merit, err *e)
{
    char path[FILE_PATH_BYTES], folder[64];
    snprintf(folder, sizeof folder, CHECKPOINT_KEPT "%s", name);
    /* A kept model carries its own step: the same one made again, after a kill, finds itself there
     * and leaves it (checkpoint_keep). */
    file_failpoint("keep");
    return may_save(w, e) && file_join(path, w->folder, folder, e) &&
           checkpoint_keep(path, w->trainer, w->plan.run, merit, e);
}

bool worker_save_step(worker *w, err *e)
{
    int64_t step = w->trainer->progress.step, every = w->work.train.keep_every;
    char name[32];
    if (every == 0 || step % every != 0) return true;
    snprintf(name, sizeof name, "%lld", (long long)step);
    return worker_save_model(w, name, NULL, e);
}
