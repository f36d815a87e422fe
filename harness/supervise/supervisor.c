#include "harness/supervise/supervisor.h"
#include "core/base/stop_signals.h"
#include "harness/run/experiment_lock.h"

#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/base/cgroup.h"
#include "core/base/host.h"
#include "harness/run/evaluate_again.h"
#include "harness/run/run_folder.h"
#include "harness/run/run_record.h"
#include "harness/run/run_status.h"
#include "harness/run/worker.h"
#include "harness/supervise/continue_longer.h"
#include "harness/supervise/kernel_kind.h"
#include "harness/supervise/run_end.h"
#include "harness/supervise/sharing.h"
#include "harness/supervise/supervisor_jobs.h"
#include "harness/supervise/supervisor_next.h"
#include "harness/supervise/worker_start.h"

/* One thread, one loop: start what can be started, sleep until a signal or a tenth of a second has
 * come, look at what has ended, show. All that is known about a run is in its folder; this process
 * keeps in memory only which workers are its own, since when, and what it has told already. It may
 * be killed at any moment: its workers are sent SIGTERM by the kernel and save (worker_start.c),
 * and the next supervisor sorts the runs anew.
 *
 * A job is QUEUED, RUNNING or ENDED here, whatever its run is: a queued one may be trained by
 * somebody else meanwhile, and a run that has ended may have done so on another machine. The way
 * back from RUNNING to QUEUED is taken where another process was quicker with the lock.
 *
 * The queue is in the order of the experiment's runs, seed by seed; what cannot begin yet is passed
 * over (supervisor_next.c). */

/* ---- what is to be done ---- */

/* What is done about a run depends on how it stands, never on what this process remembers: that is
 * why the same command goes on after a kill, and why several supervisors can share a sweep.
 *
 *   done, diverged        the spec asks for another final evaluation: queued
 *   done                  else skipped
 *   done, with damage     queued: its worker writes anew what the rest of the folder tells
 *   failed, diverged      counted as such, queued again only where --retry asks for its kind
 *   planned, interrupted  queued: the worker goes on from the checkpoint, if there is one
 *   running               queued, too: somebody else has it, who may be killed meanwhile
 */
static bool sort_run(supervisor *s, const run_plan *plan, err *e)
{
    job *j = &s->queue[s->queued];
    run_status status;
    err ignored; /* of a damaged status: the checkpoint says where the run stands */
    if (!run_folder_path(j->folder, s->o->out, plan->id, e)) return false;
    /* Read as planned, and so queued. */
    if (!run_status_read(&status, j->folder, &ignored)) status = (run_status){0};
    supervision_gap(s->result, plan, &status);
    switch (status.state) {
    /* What it took is what other seeds of its variant will take. */
    case RUN_DONE:
        job_memory_learn(&s->room, plan->variant_index, status.peak_anon_bytes);
        j->evaluates = evaluate_again_wanted(j->folder, plan);
        if (j->evaluates) break;
        s->result->skipped++;
        return true;
    case RUN_FAILED:
    case RUN_DIVERGED:
        /* What an evaluation says is of that evaluation: another one may say otherwise. */
        j->evaluates = status.state == RUN_DIVERGED && evaluate_again_wanted(j->folder, plan);
        if (j->evaluates || supervision_retries(s->o, status.state)) break;
        s->result->failed++;
        s->result->diverged += status.state == RUN_DIVERGED;
        return true;
    case RUN_RUNNING: /* by another process: whatever becomes of it is looked at later */
    case RUN_PLANNED:
    case RUN_INTERRUPTED:
    default:
        break;
    }
    if (status.kind == KIND_DAMAGED) j->damage = arena_strdup(s->memory, status.reason);
    j->mends = status.ended;
    /* A finished or a damaged one: how much of it is left is not known. */
    if (!j->evaluates && !j->damage) j->part = progress_fraction(&status);
    j->plan = plan;
    j->ended_before = status.ended_at;
    s->jobs[plan - s->x->runs] = j;
    s->queued++;
    return true;
}

/* ---- the end of a worker ---- */

/* The job of a slot, whose worker has ended so. */
static void end_job(supervisor *s, int slot, int wait_status)
{
    job *j = s->running[slot];
    bool stays = j->evaluates || j->mends;
    run_status status =
        (stays ? run_end_evaluation : run_end)(j->folder, wait_status, j->timed_out, &s->kills);
    s->running[slot] = NULL;
    s->active--;
    /* Back into the queue, and the queue's begin back to it: next may have passed it. */
    if (status.state == RUN_RUNNING) { /* another process was quicker: see look_at */
        j->state = JOB_QUEUED;
        s->next = MIN(s->next, (int)(j - s->queue));
        return;
    }
    supervisor_jobs_end(s, j, &status);
}

/* Looks at each of its own workers by number: waiting for any child would take away the ends of
 * processes that somebody else in this program has started. */
static void reap_workers(supervisor *s)
{
    for (int i = 0; i < s->slots; i++) {
        int wait_status;
        job *j = s->running[i];
        if (j && waitpid(j->pid, &wait_status, WNOHANG) == j->pid) end_job(s, i, wait_status);
    }
}

/* ---- the loop ---- */

/* Runs that have ended, and the parts of others. In runs, since lengths of runs not yet begun are
 * not known in seconds. Those that were finished before count as whole: the bar shows the sweep,
 * not the sitting. */
static double work_of(const supervisor *s)
{
    double work = s->x->run_count - s->queued;
    for (int i = 0; i < s->queued; i++) {
        work += s->queue[i].state == JOB_ENDED ? 1 : s->queue[i].part;
    }
    return work;
}

/* Shown from the same status files that everybody else sees. A file that cannot be read at the
 * moment is a bar less, no reason to stop. */
static void show_progress(supervisor *s)
{
    if (!s->progress) return;
    int count = 0;
    for (int i = 0; i < s->slots; i++) {
        job *j = s->running[i];
        if (!j) continue;
        progress_job *shown = &s->shown[count];
        shown->label = j->plan->label;
        shown->seed = j->plan->seed;
        err ignored;
        if (!run_status_read(&shown->status, j->folder, &ignored)) continue;
        if (!j->evaluates) j->part = progress_fraction(&shown->status);
        count++;
    }
    s->all.finished = s->result->skipped + s->ended - s->bad;
    s->all.failed = s->result->failed;
    s->all.work = work_of(s);
    progress_update(s->progress, s->shown, count, &s->all);
}

/* ---- runs that this process trains itself, with other ranks ---- */

/* A run that ranks train together is trained in this very process, which is rank 0: a worker that
 * was started from it would be no rank. One run after the other; the worker calls back here between
 * steps. Twice a second; false: the run's time is up. */
static bool hear_worker(void *user)
{
    supervisor *s = user;
    job *j = s->running[0];
    show_progress(s);
    j->timed_out = s->o->timeout > 0 && host_monotonic_s() - j->begun >= s->o->timeout;
    return !j->timed_out;
}

/* The worker hears the signals meanwhile, and its words go to the run's log. */
static void train_here(supervisor *s, int slot, int log)
{
    job *j = s->running[slot];
    const worker_company company = {s->o->ranks, hear_worker, s};
    err e = {0};
    sigset_t waited;
    /* What the worker says has to be in the run's log.txt, as that of a process of its own would
     * be; the progress has a stream of its own (talk). */
    int words = dup(STDERR_FILENO);
    fflush(NULL);
    dup2(log, STDERR_FILENO);
    close(log);
    /* What came while they were blocked is delivered here, to the worker's handlers: a stop is not
     * lost between two runs. */
    sigprocmask(SIG_UNBLOCK, &s->signals, &waited);
    int status = worker_run_with(j->folder, &company, &e);
    sigprocmask(SIG_SETMASK, &waited, NULL);
    if (e.text[0]) fprintf(stderr, "loci: %s\n", e.text);
    dup2(words, STDERR_FILENO);
    close(words);
    /* A signal was heard by the worker, not by this loop: it is told here, or the next run would
     * begin. */
    bool stopped = status == EXIT_INTERRUPTED && !j->timed_out;
    end_job(s, slot, status << 8); /* as waitpid says of a process that exited so */
    if (!stopped) return;
    s->stop_asked = true;
    supervisor_jobs_stop(s);
}

/* ---- the queue ---- */

/* worker_start's answer; of a run that is trained here, this process and the run's log. */
static pid_t begin_worker(supervisor *s, const job *j, const worker_call *call, int *log, err *e)
{
    *log = -1;
    if (!s->o->ranks) return worker_start(j->folder, j->plan, call, e);
    *log = worker_start_plan(j->folder, j->plan, call, e);
    return *log >= 0 ? getpid() : *log == WORKER_BUSY ? WORKER_BUSY : 0;
}

/* The kernels that it has to have; false: it cannot be begun here, and nothing more is. Nothing
 * more is started then: every other run of the experiment would meet the same processor. */
static bool find_kernels(supervisor *s, const job *j, const char **kind)
{
    err e;
    bool found = kernel_kind_find(kind, s->memory, s->x, j->plan, s->o->out, &e);
    if (found && *kind && s->o->ranks) {
        found = err_set(&e, "%s: start it with OPENBLAS_CORETYPE=%s, as its first run was",
                        s->x->spec->name, *kind);
    }
    if (found) return true;
    s->result->broken = e;
    if (s->stops == 0) supervisor_jobs_stop(s);
    return false;
}

/* False if another process has just begun it: it stays in the queue. */
static bool start_job(supervisor *s, int slot, job *j)
{
    err e = {0};
    const char *kind;
    if (!find_kernels(s, j, &kind)) return false;
    const worker_call call = {
        .blas_core = kind,
        .places = s->o->places,
        .command = s->o->command,
        .program = s->o->program,
        .threads = s->o->threads,
        .out = s->o->out,
        /* Lines of a damaged one are its own, and stay. */
        .beginning =
            j->damage ? NULL : continue_longer_find(s->beginnings, j->plan, s->o->out, j->folder)};
    int log;
    pid_t pid = begin_worker(s, j, &call, &log, &e);
    /* start_jobs ends its round here: the same job would be found again at once. */
    if (pid == WORKER_BUSY) return false;
    if (call.beginning && pid > 0) {
        supervisor_jobs_say(s, "%s, seed %lld: goes on from run %s, which is its beginning",
                            j->plan->label, (long long)j->plan->seed, call.beginning);
    }
    if (j->damage && pid > 0) {
        supervisor_jobs_say(s, "%s, seed %lld: %s; mended as far as needed", j->plan->label,
                            (long long)j->plan->seed, j->damage);
    }
    if (pid == 0) {
        supervisor_jobs_fail(s, j, KIND_OTHER, &e);
        return true;
    }
    j->pid = pid;
    j->begun = host_monotonic_s();
    /* Counted from each beginning here: a run that was interrupted has its full time again. */
    j->timed_out = false;
    j->state = JOB_RUNNING;
    s->running[slot] = j;
    s->active++;
    s->result->most = MAX(s->result->most, s->active);
    if (log >= 0) train_here(s, slot, log);
    return true;
}

static void start_jobs(supervisor *s)
{
    bool going = true;
    /* Several may be tried for one slot: one that could not be begun at all has ended, and the slot
     * is still free. */
    for (int i = 0; i < s->slots && going && !s->stops; i++) {
        while (!s->running[i] && going) {
            job *j = supervisor_next(s);
            going = j && start_job(s, i, j);
        }
    }
    /* Only over what is behind us without a gap, so that the queue of a long sweep is not read from
     * its beginning ten times a second. */
    while (s->next < s->queued && s->queue[s->next].state != JOB_QUEUED) {
        s->next++;
    }
}

/* A run whose time is up saves its state once; it is killed if it does not within a minute. */
static void stop_slow_jobs(supervisor *s)
{
    double now = host_monotonic_s(), limit = s->o->timeout;
    for (int i = 0; limit > 0 && i < s->slots; i++) {
        job *j = s->running[i];
        if (!j || now - j->begun < limit) continue;
        if (!j->timed_out) kill(j->pid, SIGTERM);
        if (j->timed_out && now - j->begun > limit + 60) kill(j->pid, SIGKILL);
        j->timed_out = true;
    }
}

static void hear_stop(supervisor *s)
{
    double now = host_monotonic_s();
    if (!s->stop_asked) {
        supervisor_jobs_say(s, "stopping: running jobs save their state (again: at once)");
        s->stop_asked = true;
        s->stop_heard = now;
        /* The request is counted, so that the next one, the user's second, kills. */
        if (s->stops > 0) return; /* given up before: they are at it */
        /* The same request once more (stop_signals.h). */
    } else if (now - s->stop_heard < STOP_SIGNALS_REPEAT_S) {
        return;
    }
    supervisor_jobs_stop(s);
}

static void run_queue(supervisor *s)
{
    const struct timespec pause = {.tv_nsec = 100000000};
    start_jobs(s);
    /* Nothing active, but something left: it waits for another process. */
    while (s->active > 0 || (s->next < s->queued && !s->stops)) {
        /* SIGCHLD is among them: a slot is filled as soon as its worker has ended. The pause is for
         * what sends no signal: another machine's runs, time limits, the progress. */
        int number = sigtimedwait(&s->signals, NULL, &pause);
        if (stop_signals_has(number)) hear_stop(s);
        stop_slow_jobs(s);
        reap_workers(s);
        start_jobs(s);
        show_progress(s);
        if (sharing_may_leave(s)) break;
    }
    s->result->shared = s->o->shares && !s->stops;
    /* A task that leaves its sweep to the others has not been interrupted by anybody. */
    int *left = s->result->shared ? &s->result->busy : &s->result->interrupted;
    for (int i = 0; i < s->queued; i++) { /* never begun: the same command begins them */
        *left += s->queue[i].state == JOB_QUEUED;
    }
}

/* Signals are waited for rather than handled, so that none is lost between looking and sleeping. */
static void block_signals(supervisor *s, sigset_t *before)
{
    /* Whoever started us may ignore it, which exec hands down: then children would vanish
     * unseen. */
    signal(SIGCHLD, SIG_DFL);
    sigemptyset(&s->signals);
    sigaddset(&s->signals, SIGCHLD);
    stop_signals_add(&s->signals);
    host_watch_stops();
    sigprocmask(SIG_BLOCK, &s->signals, before);
}

/* The experiment's record has runs that this spec has not, and would lose them. */
static bool loses_runs(run_record_state found)
{
    return found == RUN_RECORD_MORE || found == RUN_RECORD_OTHER;
}

/* Whether somebody else works on those. To be asked before the experiment's lock is shared, which
 * for a moment nobody else can: so not without need. */
static bool others_work(const supervisor *s)
{
    const char *out = s->o->out, *name = s->x->spec->name;
    err busy;
    if (s->o->shares || !loses_runs(run_record_look(out, s->x))) return false;
    int lock = experiment_lock_alone(out, name, &busy);
    if (lock >= 0) close(lock);
    return lock < 0;
}

/* A record of which runs vanish while others train them would have `gc` remove these. So a launched
 * task, whose spec is a copy, never takes runs out of it: the experiment may have been planned anew
 * since it was submitted; and nobody does while others work on it. */
static bool keep_record(const supervisor *s, err *e)
{
    const char *name = s->x->spec->name;
    bool task = s->o->shares;
    run_record_state found = run_record_look(s->o->out, s->x);
    if (task && found == RUN_RECORD_SAME) return true;
    if (!loses_runs(found) || (!task && !s->others)) {
        return run_record_experiment(s->o->out, s->x, e);
    }
    if (found == RUN_RECORD_MORE) return true;
    return err_set(e,
                   task ? "experiment '%s' was planned with other runs since this task was "
                          "submitted; give one of the two another name (--set name=...)"
                        : "experiment '%s' is being trained with other runs, by another loci run; "
                          "stop that first, or give this one another name (--set name=...)",
                   name);
}

static bool prepare_queue(supervisor *s, err *e)
{
    const supervisor_options *o = s->o;
    int64_t memory = o->memory > 0 ? o->memory : host_memory_allotted();
    job_memory_init(&s->room, s->memory, s->x->sweep->variant_count, (double)memory, o->threads);
    /* A number of jobs that the user gave is meant, whatever the estimates say; a limit of memory,
     * too. */
    s->limited = o->jobs <= 0 || o->memory > 0;
    s->queue = arena_push_zero(s->memory, s->x->run_count, sizeof(job));
    s->jobs = arena_push_zero(s->memory, s->x->run_count, sizeof(job *));
    if (!keep_record(s, e)) return false;
    for (int i = 0; i < s->x->run_count; i++) {
        if (!sort_run(s, &s->x->runs[i], e)) return false;
    }
    for (int i = 0; i < s->queued && !s->beginnings; i++) {
        if (continue_longer_possible(s->queue[i].plan))
            s->beginnings = continue_longer_beginnings(o->out);
    }
    s->slots = supervision_jobs(o, s->queued);
    s->running = arena_push_zero(s->memory, s->slots, sizeof(job *));
    s->shown = arena_push_zero(s->memory, s->slots, sizeof(progress_job));
    if (o->quiet) return true;
    s->all = (progress_sweep){.runs = s->x->run_count, .before = work_of(s)};
    /* Of its own, for a run that is trained here has stderr for its log. */
    s->talk = fdopen(dup(STDERR_FILENO), "w");
    s->progress = progress_new(s->talk ? s->talk : stderr, e);
    return s->progress != NULL;
}

bool supervisor_run(supervisor_result *r, const experiment *x, const supervisor_options *o, err *e)
{
    *r = (supervisor_result){0};
    supervisor s = {.x = x, .o = o, .result = r, .memory = arena_new(1 << 16), .waiter = -1};
    /* Before the first worker: only kills from here on can be of ours. */
    s.kills = cgroup_oom_kills("");
    /* Held until the end: `loci rm` of what is being trained says so and leaves. */
    s.others = others_work(&s);
    int lock = experiment_lock_share(o->out, x->spec->name, e);
    bool ok = lock >= 0 && prepare_queue(&s, e);
    if (ok && s.queued > 0) {
        sigset_t before;
        block_signals(&s, &before);
        run_queue(&s);
        supervisor_jobs_say_alike(&s);
        /* Asked to stop, the process is about to end, and says how: a repeat may not end it first.
         */
        if (!s.stop_asked) sigprocmask(SIG_SETMASK, &before, NULL);
    }
    if (lock >= 0) close(lock);
    /* The place among those who wait is somebody else's to take. */
    if (s.waiter >= 0) close(s.waiter);
    if (ok && r->broken.text[0]) {
        *e = r->broken;
        ok = false;
    }
    json_decref(s.beginnings);
    progress_free(s.progress);
    if (s.talk) fclose(s.talk);
    arena_free(s.memory);
    return ok;
}
