#include "harness/supervise/supervisor_next.h"

#include "core/base/host.h"
#include "harness/run/evaluate_again.h"
#include "harness/run/run_folder.h"
#include "harness/run/run_status.h"

/* Who may be begun is found in four questions, cheapest first:
 *
 *   busy_until      was it looked at within the last half second? then not again
 *   look_elsewhere  does another machine's process have it (its line in the lock file)?
 *   look_at         what does its status say, with this machine's lock?
 *   job_readiness   is the run that it starts from done?
 *
 * and memory at last, which is asked of a run that could begin otherwise. Nothing is reserved by
 * these answers: between the look and the start another process may take the lock, and worker_start
 * finds that out. The lock is what decides; this is only not to try in vain. */

typedef enum readiness {
    READY,
    WAITING,    /* for the run that it starts from */
    BUSY,       /* another process works on it */
    DOUBTED,    /* a process of another machine worked on it; whether it lives is not known yet */
    IMPOSSIBLE, /* the run that it starts from has failed */
    PUT_OFF,    /* that run is not done, and not waited for: the same command begins both */
    GONE        /* it has ended: another process was quicker */
} readiness;

/* Between two looks at a run that another process of this machine works on. */
static const double BUSY_PAUSE_S = 0.5;

/* Another process works on it. */
static readiness held(supervisor *s, job *j)
{
    const run_status theirs = {.state = RUN_RUNNING};
    /* --no-wait: it counts as left to whoever has it. */
    if (s->o->leave_busy) {
        supervisor_jobs_end(s, j, &theirs);
        return GONE;
    }
    j->busy_until = host_monotonic_s() + BUSY_PAUSE_S;
    return BUSY;
}

/* Whether somebody on another machine works on it; READY: nobody does. */
static readiness look_elsewhere(supervisor *s, job *j)
{
    switch (holder_watch_look(&j->holder, j->folder, host_monotonic_s())) {
    case HOLDER_LOCKED:
    case HOLDER_BEATING:
        return held(s, j);
    case HOLDER_DOUBTED:
        return DOUBTED;
    /* Two could write into one folder: all ends (supervisor_jobs_unlocked), and until then nothing
     * is begun here. */
    case HOLDER_UNLOCKED:
        supervisor_jobs_unlocked(s, j);
        return BUSY;
    case HOLDER_NONE:
    case HOLDER_DEAD:
    default:
        return READY;
    }
}

/* It was to be evaluated otherwise: by now another process may be at it, or have found the same. */
static readiness look_at_diverged(supervisor *s, job *j, const run_status *now)
{
    if (run_folder_locked(j->folder)) return held(s, j);
    if (evaluate_again_wanted(j->folder, j->plan)) return READY;
    supervisor_jobs_end(s, j, now);
    return GONE;
}

/* What became of a queued run since the queue was made: another supervisor may share the sweep. */
static readiness look_at(supervisor *s, job *j)
{
    run_status now;
    err ignored;
    if (host_monotonic_s() < j->busy_until) return BUSY;
    readiness elsewhere = look_elsewhere(s, j);
    if (elsewhere != READY) return elsewhere;
    if (!run_status_read(&now, j->folder, &ignored)) return READY; /* the worker writes it anew */
    /* What it had before it began here: an end further on is progress. */
    j->step_before = now.step;
    switch (now.state) {
    case RUN_RUNNING:
        return held(s, j);
    case RUN_DONE:
        j->evaluates = evaluate_again_wanted(j->folder, j->plan);
        /* The state `done` does not say that somebody is evaluating it: only the lock does. */
        if (j->evaluates) return run_folder_locked(j->folder) ? held(s, j) : READY;
        j->state = JOB_ENDED;
        s->ended++;
        s->result->skipped++;
        /* Trained by another process; what it took counts all the same. */
        job_memory_learn(&s->room, j->plan->variant_index, now.peak_anon_bytes);
        return GONE;
    case RUN_FAILED:
    case RUN_DIVERGED:
        if (j->evaluates && now.state == RUN_DIVERGED) return look_at_diverged(s, j, &now);
        if (now.ended_at <= j->ended_before) return READY; /* that is what is tried again */
        supervisor_jobs_end(s, j, &now);
        return GONE;
    case RUN_PLANNED:
    case RUN_INTERRUPTED:
    default:
        return READY;
    }
}

/* Whether the run that this one starts from is finished. */
static readiness job_readiness(const supervisor *s, const job *j, err *why)
{
    const run_plan *plan = j->plan;
    /* Who is only evaluated has started. */
    if (plan->source_run < 0 || j->evaluates) return READY;
    const run_plan *source = &s->x->runs[plan->source_run];
    const job *own = s->jobs[plan->source_run];
    /* It is in our own queue: its file need not be asked ten times a second. */
    if (own && own->state != JOB_ENDED) return WAITING;
    char folder[FILE_PATH_BYTES];
    run_status status;
    /* A source whose status cannot be read cannot be started from. */
    if (!run_folder_path(folder, s->o->out, source->id, why) ||
        !run_status_read(&status, folder, why)) {
        return IMPOSSIBLE;
    }
    switch (status.state) {
    case RUN_DONE:
        return READY;
    case RUN_RUNNING: /* by another process */
        return s->o->leave_busy ? PUT_OFF : WAITING;
    case RUN_FAILED:
    case RUN_DIVERGED:
        /* The reason travels along a chain of sources, each naming the one before it. */
        err_set(why, "it starts from %s, seed %lld, which %s: %.700s", source->label,
                (long long)source->seed, status.state == RUN_FAILED ? "failed" : "diverged",
                status.reason);
        return IMPOSSIBLE;
    case RUN_PLANNED:
    case RUN_INTERRUPTED:
    default:
        return PUT_OFF;
    }
}

/* Whether memory allows one more beside those that are going on; one always goes. */
static bool has_room(supervisor *s, const run_plan *plan)
{
    if (!s->limited || s->active == 0) return true;
    /* Anew for each question: peaks grow while runs go on. */
    job_memory_begin(&s->room);
    for (int i = 0; i < s->slots; i++) {
        run_status now = {0};
        err ignored;
        if (!s->running[i]) continue;
        if (!run_status_read(&now, s->running[i]->folder, &ignored)) now.peak_anon_bytes = 0;
        job_memory_add(&s->room, job_memory_need(&s->room, s->running[i]->plan),
                       now.peak_anon_bytes);
    }
    bool fits = job_memory_fits(&s->room, job_memory_need(&s->room, plan));
    if (!fits && !s->said_full) {
        s->said_full = true;
        supervisor_jobs_say(s, "memory allows %d runs at a time for now", s->active);
    }
    return fits;
}

static void say_waiting(supervisor *s, const job *j)
{
    char holder[RUN_HOLDER_BYTES];
    /* Once, and only when there is nothing else to do. */
    if (s->said_waiting || s->active > 0) return;
    s->said_waiting = true;
    supervisor_jobs_holder(holder, j);
    supervisor_jobs_say(s, "%s, seed %lld: %s works on it; waiting for what others have begun",
                        j->plan->label, (long long)j->plan->seed, holder);
}

/* The first in the queue that can start. Others are passed over, not waited for: a run whose source
 * is being trained must not hold up those that need nothing. Only lack of memory stops the search,
 * or small runs would starve a large one for ever. */
job *supervisor_next(supervisor *s)
{
    const job *busy = NULL;
    s->left = (struct queue_left){0};
    for (int i = s->next; i < s->queued; i++) {
        job *j = &s->queue[i];
        err why = {0};
        if (j->state != JOB_QUEUED) continue;
        readiness r = look_at(s, j);
        if (r == BUSY) busy = j;
        s->left.held += r == BUSY;
        s->left.doubted += r == DOUBTED;
        if (r == READY) r = job_readiness(s, j, &why);
        /* Not the next one that would fit: see above. */
        if (r == READY && !has_room(s, j->plan)) return NULL;
        if (r == READY) return j;
        s->left.waiting += r == WAITING;
        if (r == IMPOSSIBLE) supervisor_jobs_fail(s, j, KIND_SOURCE, &why);
        /* Its source was stopped, or left out here: this sweep cannot finish it today, and says
         * so. */
        if (r != PUT_OFF) continue;
        const run_status status = {
            .state = RUN_INTERRUPTED, .kind = KIND_SOURCE, .reason = "its source is not done"};
        supervisor_jobs_end(s, j, &status);
    }
    if (busy) say_waiting(s, busy);
    return NULL;
}
