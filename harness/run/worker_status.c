#include "harness/run/worker_status.h"

#include <math.h>
#include <unistd.h>

#include "core/base/host.h"

/* How many steps a budget in tokens makes is known at its end; before, by what steps have held. */
static int64_t steps_in_all(const worker *w)
{
    const train_progress *p = &w->trainer->progress;
    train_length length = w->trainer->length;
    if (trainer_finished(w->trainer)) return p->step;
    if (!length.tokens || p->tokens <= 0) return length.steps;
    double steps = (double)p->step * (double)length.tokens / (double)p->tokens;
    return MAX(p->step + 1, (int64_t)fmin(ceil(steps), 4e15));
}

void worker_status_fill(worker *w)
{
    run_status *s = &w->status;
    host_memory m = host_memory_now();
    s->peak_rss_bytes = MAX(s->peak_rss_bytes, m.peak_rss_bytes);
    s->peak_anon_bytes = MAX(s->peak_anon_bytes, m.peak_anon_bytes);
    /* Before there is one, what was said before stands: a run that cannot be opened has not lost
     * its steps. */
    if (!w->begun) return;
    const train_progress *p = &w->trainer->progress;
    s->step = p->step;
    s->tokens = p->tokens;
    s->train_seconds = p->seconds;
    s->steps = steps_in_all(w);
}

void worker_status_tell(worker *w, double now)
{
    if (now - w->told_at < 0.5) return;
    w->told_at = now;
    worker_status_fill(w);
    err ignored;
    if (run_lease_holds(w->lease, &ignored))
        run_status_write(&w->status, w->folder, false, &ignored);
    if (w->company && !w->company->told(w->company->user)) *w->stop = 1;
}

/* When it first began, what it took at most and where it stands are of the run, not of this
 * process. */
bool worker_status_begin(worker *w, err *e)
{
    run_status before;
    if (!run_status_read(&before, w->folder, NULL)) before = (run_status){.loss = (double)NAN};
    w->status = (run_status){
        .state = RUN_RUNNING,
        .pid = getpid(),
        .started_at = before.started_at > 0 ? before.started_at : host_wall_s(),
        .step = before.step,
        .steps = before.steps,
        .tokens = before.tokens,
        .train_seconds = before.train_seconds,
        .loss = before.loss,
        .tokens_per_second = before.tokens > 0 ? before.tokens_per_second : (double)NAN,
        .peak_rss_bytes = before.peak_rss_bytes,
        .peak_anon_bytes = before.peak_anon_bytes};
    return run_status_write(&w->status, w->folder, true, e);
}

bool worker_status_end(worker *w, run_state state, run_kind kind, const char *reason, err *e)
{
    worker_status_fill(w);
    w->status.state = state;
    w->status.kind = kind;
    w->status.ended_at = host_wall_s();
    snprintf(w->status.reason, sizeof w->status.reason, "%s", reason);
    return run_status_write(&w->status, w->folder, true, e);
}
