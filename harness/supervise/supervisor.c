#include "harness/run/exit_status.h"
#include "harness/run/run_folder.h"
#include "harness/run/run_record.h"
#include "harness/run/run_status.h"
#include "harness/supervise/supervisor_parts.h"

#include <math.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "core/base/host.h"
#include "harness/run/evaluate_again.h"
#include "harness/supervise/continue_longer.h"
#include "harness/supervise/run_end.h"
#include "harness/supervise/worker_start.h"

void supervisor_jobs_say(supervisor *s, const char *format, ...)
{
    if (!s->progress) return;
    char text[2 * ERR_TEXT_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    progress_say(s->progress, "%s", text);
}

/* What went wrong is said even if quiet. */
static void say_bad(supervisor *s, int number, const job *j, const run_status *status)
{
    char text[2 * ERR_TEXT_BYTES];
    const char *kind = run_status_kind_name(status->kind),
               *state = run_status_state_name(status->state);
    bool told = !*kind || strcmp(kind, state) == 0 || status->kind == KIND_OTHER;
    snprintf(text, sizeof text, "[%d/%d] %s, seed %lld: %s%s%s%s: %s", number, s->queued,
             j->plan->label, (long long)j->plan->seed, state, told ? "" : " (", told ? "" : kind,
             told ? "" : ")", status->reason);
    if (s->progress) {
        progress_say(s->progress, "%s", text);
    } else {
        fprintf(stderr, "%s\n", text);
    }
}

/* ---- what is to be done ---- */

static bool is_retried(retry_kind kind, run_state state)
{
    return kind == RETRY_ALL || kind == (state == RUN_FAILED ? RETRY_FAILED : RETRY_DIVERGED);
}

static bool sort_run(supervisor *s, const run_plan *plan, err *e)
{
    job *j = &s->queue[s->queued];
    run_status status;
    err ignored; /* of a damaged status: the checkpoint says where the run stands */
    if (!run_folder_path(j->folder, s->o->out, plan->id, e)) return false;
    if (!run_status_read(&status, j->folder, &ignored)) status = (run_status){0};
    switch (status.state) {
    case RUN_DONE:
        job_memory_learn(&s->room, plan->variant_index, status.peak_anon_bytes);
        j->evaluates = evaluate_again_wanted(j->folder, plan);
        if (j->evaluates) break;
        s->result->skipped++;
        return true;
    case RUN_FAILED:
    case RUN_DIVERGED:
        if (is_retried(s->o->retry, status.state)) break;
        s->result->failed++;
        return true;
    case RUN_RUNNING: /* by another process: whatever becomes of it is looked at later */
    case RUN_PLANNED:
    case RUN_INTERRUPTED:
    default:
        break;
    }
    j->plan = plan;
    j->ended_before = status.ended_at;
    s->jobs[plan - s->x->runs] = j;
    s->queued++;
    return true;
}

/* ---- the end of a worker ---- */

/* Passes a signal on: asked once, workers save and stop; asked again, they are killed. */
static void stop_jobs(supervisor *s)
{
    s->stops++;
    for (int i = 0; i < s->slots; i++) {
        if (s->running[i]) kill(s->running[i]->pid, s->stops == 1 ? SIGTERM : SIGKILL);
    }
}

static void give_up(supervisor *s)
{
    supervisor_jobs_say(s, "%d failed: no more are started, running jobs save their state", s->bad);
    s->result->gave_up = true;
    stop_jobs(s);
}

void supervisor_jobs_holder(char text[HOLDER_BYTES], int64_t pid)
{
    if (pid > 0) {
        snprintf(text, HOLDER_BYTES, "process %lld", (long long)pid);
    } else {
        snprintf(text, HOLDER_BYTES, "another process");
    }
}

static void count_end(supervisor *s, const job *j, const run_status *status)
{
    char took[16], amount[16], holder[HOLDER_BYTES];
    const char *label = j->plan->label;
    long long seed = j->plan->seed;
    int number = ++s->ended;
    progress_time(took, status->train_seconds);
    progress_amount(amount, (double)status->tokens);
    switch (status->state) {
    case RUN_DONE:
        if (j->evaluates) {
            s->result->evaluated++;
            supervisor_jobs_say(s, "[%d/%d] %s, seed %lld: evaluated", number, s->queued, label,
                                seed);
            return;
        }
        s->result->done++;
        if (isnan(status->loss)) { /* nothing was trained: a trained model was evaluated */
            supervisor_jobs_say(s, "[%d/%d] %s, seed %lld: done, evaluated only", number, s->queued,
                                label, seed);
            return;
        }
        supervisor_jobs_say(s, "[%d/%d] %s, seed %lld: done, %s tokens in %s, training loss %.4f",
                            number, s->queued, label, seed, amount, took, status->loss);
        return;
    case RUN_INTERRUPTED:
        s->result->interrupted++;
        supervisor_jobs_say(s, "[%d/%d] %s, seed %lld: interrupted at step %lld (%s)", number,
                            s->queued, label, seed, (long long)status->step, status->reason);
        return;
    case RUN_RUNNING:
        s->result->busy++;
        supervisor_jobs_holder(holder, status->pid);
        supervisor_jobs_say(s, "[%d/%d] %s, seed %lld: left to %s", number, s->queued, label, seed,
                            holder);
        return;
    case RUN_FAILED:
    case RUN_DIVERGED:
    case RUN_PLANNED:
    default:
        s->result->failed++;
        s->bad++;
        say_bad(s, number, j, status);
        if (s->bad == s->o->max_failures) give_up(s);
    }
}

void supervisor_jobs_end(supervisor *s, job *j, const run_status *status)
{
    j->state = JOB_ENDED;
    if (status->state == RUN_DONE) {
        job_memory_learn(&s->room, j->plan->variant_index, status->peak_anon_bytes);
    }
    count_end(s, j, status);
}

static void reap_workers(supervisor *s)
{
    for (int i = 0; i < s->slots; i++) {
        job *j = s->running[i];
        int wait_status;
        if (!j || waitpid(j->pid, &wait_status, WNOHANG) != j->pid) continue;
        run_status status = (j->evaluates ? run_end_evaluation : run_end)(
            j->folder, wait_status, j->timed_out, &s->oom_kills);
        s->running[i] = NULL;
        s->active--;
        if (status.state == RUN_RUNNING) { /* another process was quicker: see look_at */
            j->state = JOB_QUEUED;
            s->next = MIN(s->next, (int)(j - s->queue));
            continue;
        }
        supervisor_jobs_end(s, j, &status);
    }
}

/* ---- the loop ---- */

/* A finished run whose evaluation cannot begin stays finished. */
void supervisor_jobs_fail(supervisor *s, job *j, run_kind kind, const err *why)
{
    run_status status = {
        .state = RUN_FAILED, .kind = kind, .loss = (double)NAN, .ended_at = host_wall_s()};
    err ignored;
    snprintf(status.reason, sizeof status.reason, "%s", why->text);
    if (!j->evaluates && file_make_folders(j->folder, &ignored)) {
        run_status_write(&status, j->folder, true, &ignored);
    }
    supervisor_jobs_end(s, j, &status);
}

/* False if another process has just begun it: it stays in the queue. */
static bool start_job(supervisor *s, int slot, job *j)
{
    err e = {0};
    const worker_call call = {
        .places = s->o->places,
        .command = s->o->command,
        .program = s->o->program,
        .threads = s->o->threads,
        .out = s->o->out,
        .beginning = continue_longer_find(s->beginnings, j->plan, s->o->out, j->folder)};
    pid_t pid = worker_start(j->folder, j->plan, &call, &e);
    if (pid == WORKER_BUSY) return false;
    if (call.beginning && pid > 0) {
        supervisor_jobs_say(s, "%s, seed %lld: goes on from run %s, which is its beginning",
                            j->plan->label, (long long)j->plan->seed, call.beginning);
    }
    if (pid == 0) {
        supervisor_jobs_fail(s, j, KIND_OTHER, &e);
        return true;
    }
    j->pid = pid;
    j->begun = host_monotonic_s();
    j->timed_out = false;
    j->state = JOB_RUNNING;
    s->running[slot] = j;
    s->active++;
    s->result->most = MAX(s->result->most, s->active);
    return true;
}

static void start_jobs(supervisor *s)
{
    bool going = true;
    for (int i = 0; i < s->slots && going && !s->stops; i++) {
        while (!s->running[i] && going) {
            job *j = supervisor_next(s);
            going = j && start_job(s, i, j);
        }
    }
    while (s->next < s->queued && s->queue[s->next].state != JOB_QUEUED) {
        s->next++;
    }
}

static void show_progress(supervisor *s)
{
    if (!s->progress) return;
    int count = 0;
    for (int i = 0; i < s->slots; i++) {
        const job *j = s->running[i];
        if (!j) continue;
        progress_job *shown = &s->shown[count];
        shown->label = j->plan->label;
        shown->seed = j->plan->seed;
        err ignored;
        if (!run_status_read(&shown->status, j->folder, &ignored)) continue;
        count++;
    }
    progress_update(s->progress, s->shown, count, s->ended - s->bad, s->bad);
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

static void run_queue(supervisor *s)
{
    const struct timespec pause = {.tv_nsec = 100 * 1000 * 1000};
    start_jobs(s);
    /* Nothing active, but something left: it waits for another process. */
    while (s->active > 0 || (s->next < s->queued && !s->stops)) {
        int number = sigtimedwait(&s->signals, NULL, &pause);
        if (number == SIGINT || number == SIGTERM) {
            if (s->stops == 0)
                supervisor_jobs_say(s, "stopping: running jobs save their state (again: at once)");
            stop_jobs(s);
        }
        stop_slow_jobs(s);
        reap_workers(s);
        start_jobs(s);
        show_progress(s);
    }
    for (int i = 0; i < s->queued; i++) { /* never begun: the same command begins them */
        s->result->interrupted += s->queue[i].state == JOB_QUEUED;
    }
}

/* Signals are waited for rather than handled, so that none is lost between looking and sleeping. */
static void block_signals(supervisor *s, sigset_t *before)
{
    signal(SIGCHLD, SIG_DFL);
    sigemptyset(&s->signals);
    sigaddset(&s->signals, SIGCHLD);
    sigaddset(&s->signals, SIGINT);
    sigaddset(&s->signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &s->signals, before);
}

static bool prepare_queue(supervisor *s, err *e)
{
    const supervisor_options *o = s->o;
    job_memory_init(&s->room, s->memory, s->x->sweep->variant_count, (double)o->memory);
    s->limited = o->jobs <= 0 || o->memory > 0;
    s->queue = arena_push_zero(s->memory, s->x->run_count, sizeof(job));
    s->jobs = arena_push_zero(s->memory, s->x->run_count, sizeof(job *));
    if (!run_record_experiment(o->out, s->x, e)) return false;
    for (int i = 0; i < s->x->run_count; i++) {
        if (!sort_run(s, &s->x->runs[i], e)) return false;
    }
    for (int i = 0; i < s->queued && !s->beginnings; i++) {
        if (continue_longer_possible(s->queue[i].plan))
            s->beginnings = continue_longer_beginnings(o->out);
    }
    int jobs = o->jobs > 0 ? o->jobs : host_cores() / MAX(o->threads, 1);
    s->slots = MAX(1, MIN(jobs, s->queued));
    s->running = arena_push_zero(s->memory, s->slots, sizeof(job *));
    s->shown = arena_push_zero(s->memory, s->slots, sizeof(progress_job));
    if (o->quiet) return true;
    s->progress = progress_new(stderr, s->queued, e);
    return s->progress != NULL;
}

bool supervisor_run(supervisor_result *r, const experiment *x, const supervisor_options *o, err *e)
{
    *r = (supervisor_result){0};
    supervisor s = {.x = x, .o = o, .result = r, .memory = arena_new(1 << 16)};
    s.oom_kills = run_end_oom_kills();
    bool ok = prepare_queue(&s, e);
    if (ok && s.queued > 0) {
        sigset_t before;
        block_signals(&s, &before);
        run_queue(&s);
        sigprocmask(SIG_SETMASK, &before, NULL);
    }
    json_decref(s.beginnings);
    progress_free(s.progress);
    arena_free(s.memory);
    return ok;
}

int supervisor_exit(const supervisor_result *r)
{
    if ((r->interrupted || r->busy) && !r->gave_up) return EXIT_INTERRUPTED;
    return r->failed ? EXIT_RUNS_FAILED : EXIT_DONE;
}
