#include "harness/supervise/supervisor_jobs.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/host.h"
#include "core/base/one_line.h"
#include "harness/run/run_folder.h"
#include "harness/run/run_record.h"

/* What one job's end means for the sweep: it is counted once, told in a line, and may be one
 * failure too many. A run that somebody else ended while this process had it in its queue goes the
 * same way. */

void supervisor_jobs_say(supervisor *s, const char *format, ...)
{
    if (!s->progress) return;
    /* Longer ones are cut: a line on the screen; the whole reason stands in status.json. */
    char text[2 * ERR_TEXT_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    progress_say(s->progress, "%s", text);
}

/* What went wrong is said even if quiet. */
static void say_line(supervisor *s, bool bad, const char *text)
{
    if (s->progress) {
        progress_say(s->progress, "%s", text);
    } else if (bad) {
        fprintf(stderr, "%s\n", text);
    }
}

/* "[3/12] long, seed 1: ..." Longer ones are cut: a line on the screen; the whole reason stands in
 * status.json. */
__attribute__((format(printf, 5, 6))) static void say_end(supervisor *s, const job *j, int number,
                                                          bool bad, const char *format, ...)
{
    char text[2 * ERR_TEXT_BYTES];
    int n = snprintf(text, sizeof text, "[%d/%d] %.400s, seed %lld: ", number, s->x->run_count,
                     j->plan->label, (long long)j->plan->seed);
    va_list args;
    va_start(args, format);
    vsnprintf(text + n, sizeof text - (size_t)n, format, args);
    va_end(args);
    one_line(text, sizeof text);
    say_line(s, bad, text);
}

void supervisor_jobs_say_alike(supervisor *s)
{
    char text[64];
    if (s->alike == 0) return;
    snprintf(text, sizeof text, "%d more failed for the same reason", s->alike);
    s->alike = 0;
    say_line(s, true, text);
}

/* A text that was replaced, or a full disk, may end hundreds of runs: their long line is said once.
 */
static void say_bad(supervisor *s, const job *j, int number, const run_status *status)
{
    bool failed = status->state == RUN_FAILED && *status->reason;
    if (failed && strcmp(s->said_why, status->reason) == 0) {
        s->alike++;
        return;
    }
    supervisor_jobs_say_alike(s);
    snprintf(s->said_why, sizeof s->said_why, "%s", failed ? status->reason : "");
    const char *kind = run_status_kind_name(status->kind),
               *state = run_status_state_name(status->state);
    /* "diverged (diverged)" and "failed (other)" say nothing. */
    bool told = !*kind || strcmp(kind, state) == 0 || status->kind == KIND_OTHER;
    say_end(s, j, number, true, "%s%s%s%s: %s", state, told ? "" : " (", told ? "" : kind,
            told ? "" : ")", status->reason);
}

static void say_done(supervisor *s, const job *j, int number, const run_status *status)
{
    char took[16], amount[16], loss[32];
    progress_loss(loss, status);
    progress_time(took, status->train_seconds);
    progress_amount(amount, (double)status->tokens);
    if (isnan(status->loss)) { /* a budget of no steps: what init_from names was evaluated */
        say_end(s, j, number, false, "done, evaluated only");
    } else {
        say_end(s, j, number, false, "done, %s tokens in %s, training loss %s", amount, took, loss);
    }
}

void supervisor_jobs_stop(supervisor *s)
{
    /* Runs that were never begun are not touched: they stay queued and are counted as left at the
     * end. */
    s->stops++;
    for (int i = 0; i < s->slots; i++) {
        /* Asked once they save their state and end; asked again they end as they stand. */
        if (s->running[i]) kill(s->running[i]->pid, s->stops == 1 ? SIGTERM : SIGKILL);
    }
}

/* As after a first signal: what is going on saves, and the same command goes on. */
static void give_up(supervisor *s)
{
    supervisor_jobs_say_alike(s);
    supervisor_jobs_say(s, "%d failed: no more are started, running jobs save their state", s->bad);
    s->result->gave_up = true;
    supervisor_jobs_stop(s);
}

void supervisor_jobs_holder(char text[RUN_HOLDER_BYTES], const job *j)
{
    run_holder h;
    if (run_lease_holder(&h, j->folder)) {
        run_lease_text(text, &h);
    } else {
        /* A moment after a lock was taken, or a holder that left no line. */
        snprintf(text, RUN_HOLDER_BYTES, "another process");
    }
}

void supervisor_jobs_unlocked(supervisor *s, const job *j)
{
    char holder[RUN_HOLDER_BYTES];
    supervisor_jobs_holder(holder, j);
    /* Stops every job, not only this one: the results' folder is the same mount for all. */
    err_set(&s->result->broken,
            "%s: %s works on it, though its lock can be had here: this mount does not lock across "
            "machines, and both would write; run on one machine, or mount it with locks",
            j->folder, holder);
    if (s->stops == 0) supervisor_jobs_stop(s);
}

static void count_end(supervisor *s, const job *j, const run_status *status)
{
    char holder[RUN_HOLDER_BYTES];
    /* Runs that had ended before are the first of the count. */
    int number = s->x->run_count - s->queued + ++s->ended; /* of all, with those before */
    /* Progress, for the count of stops without any (--task): an interrupted run that is further
     * than before is some. */
    s->result->moved = s->result->moved || status->state == RUN_DONE ||
                       (status->state == RUN_INTERRUPTED && status->step > j->step_before);
    switch (status->state) {
    case RUN_DONE:
        /* It was done before: no training to tell of. */
        if (j->evaluates) {
            s->result->evaluated++;
            say_end(s, j, number, false, "evaluated");
        } else if (j->mends) {
            s->result->mended++;
            say_end(s, j, number, false, "mended, nothing was trained");
        } else {
            s->result->done++;
            say_done(s, j, number, status);
        }
        return;
    case RUN_INTERRUPTED:
        s->result->interrupted++;
        say_end(s, j, number, false, "interrupted at step %lld (%s)", (long long)status->step,
                status->reason);
        return;
    /* Somebody has it, and it is not waited for: for the sweep it has ended here. */
    case RUN_RUNNING:
        s->result->busy++;
        supervisor_jobs_holder(holder, j);
        say_end(s, j, number, false, "left to %s", holder);
        return;
    case RUN_FAILED:
    case RUN_DIVERGED:
    /* A status that no worker leaves: counted as failed, so that nothing is taken for done. */
    case RUN_PLANNED:
    default:
        s->result->failed++;
        s->result->diverged += status->state == RUN_DIVERGED;
        if (j->evaluates || j->mends) s->result->stayed += status->state == RUN_FAILED;
        s->bad++;
        say_bad(s, j, number, status);
        /* Equal, not more: once. 0, which never is equal here, means never. */
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

/* A folder without a plan is no run to whoever reads results: its seed would look as if it were
 * still to come, not lost. */
static void plan_unbegun(const supervisor *s, const job *j)
{
    char path[FILE_PATH_BYTES];
    err ignored;
    int lock = run_folder_lock(j->folder, &ignored);
    if (lock < 0) return;
    if (file_join(path, j->folder, "plan.json", &ignored) && !file_exists(path)) {
        run_record_plan_write(j->folder, j->plan, s->o->places, s->o->command, s->o->threads,
                              &ignored);
    }
    close(lock);
}

/* A finished run whose evaluation, or mending, cannot begin stays finished. */
void supervisor_jobs_fail(supervisor *s, job *j, run_kind kind, const err *why)
{
    run_status status = {
        .state = RUN_FAILED, .kind = kind, .loss = (double)NAN, .ended_at = host_wall_s()};
    err ignored;
    snprintf(status.reason, sizeof status.reason, "%s", why->text);
    /* It failed before a worker could say so, in a folder that may not be there yet. */
    if (!j->evaluates && !j->mends && file_make_folders(j->folder, &ignored)) {
        plan_unbegun(s, j);
        run_status_write_free(&status, j->folder);
    }
    supervisor_jobs_end(s, j, &status);
}
