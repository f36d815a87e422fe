#include "harness/run/worker.h"

#include <math.h>
#include <signal.h>
#include <unistd.h>

#include "core/base/host.h"
#include "core/base/stop_signals.h"
#include "harness/evaluate/rank_calls.h"
#include "harness/run/evaluate_again.h"
#include "harness/run/run_folder.h"
#include "harness/run/run_lines.h"
#include "harness/run/run_mend.h"
#include "harness/run/run_open.h"
#include "harness/run/run_verdict.h"
#include "harness/run/worker_begin.h"
#include "harness/run/worker_eval.h"
#include "harness/run/worker_save.h"
#include "harness/run/worker_status.h"

/* What must be true of a run's folder at every moment, for a worker may be killed at any, and the
 * machine lose its power:
 *
 *   1. lines whose step is beyond the checkpoint's may be there; they are cut off when the run goes
 *     on, and made again, equal. Lines up to the checkpoint's step must be there: they are on the
 *     disk before the manifest that counts on them. Where a disk has lost one all the same, the
 *     run goes on, and what shows the gap stays in its place
 *   2. an evaluation's line, its losses file and final.json come before the status `done`; what an
 *     interrupted evaluation kept (part-ID.*) goes after its line
 *   3. what is damaged is removed before the status says anything but damaged
 *   4. nothing is written without asking the lease: the folder may be another machine's by now
 *
 * What a continued run takes from the folder, besides the checkpoint: when it first began and the
 * highest peaks of memory (status.json), and its length (length.json). All else follows from the
 * plan, so that a run that was killed ten times has the bits of one that never was.
 *
 * The exit status is for the supervisor; why a run ended is in status.json, for everybody else. A
 * worker that lost its lease says it by EXIT_BUSY alone.
 *
 * file_failpoint marks the places where the tests kill it. */

#define STOPPED_TEXT "stopped by a signal"

static volatile sig_atomic_t stop_requested;

static void request_stop(int signal_number)
{
    (void)signal_number;
    stop_requested = 1;
}

/* Only a flag is set: the step under way ends, the checkpoint is whole, and what is asked inside of
 * an evaluation (eval_task.stop) is the same flag. */
static void install_signals(const rank_group *r)
{
    stop_requested = 0;
    stop_signals_catch(request_stop);
    if (r) signal(SIGUSR1, request_stop); /* what mpirun passes on without ending the ranks */
    host_watch_stops();
    /* The log may be a pipe whose reader went away; that is no reason to end a run. */
    signal(SIGPIPE, SIG_IGN);
}

static bool log_step(worker *w, const train_report *r, err *e)
{
    train_progress *p = &w->trainer->progress;
    /* The first step's loss says what an untrained model has, and the last one's where it ended. */
    bool due = p->step == 1 || p->step % w->work.train.log_every == 0;
    if (!due && !trainer_finished(w->trainer)) return true;
    size_t bytes = log_line(w->line, p, r);
    w->status.loss = p->window_nats / p->window_weight;
    w->status.tokens_per_second = p->window_weight / p->window_seconds;
    /* After the line was formatted, not after it was written: the checkpoint that follows holds an
     * empty window for a line that it counts as there. One that stands only where the run ends is
     * none of a longer run, whose window goes on (keep_metric). */
    if (due) p->window_nats = p->window_weight = p->window_seconds = 0;
    worker_status_fill(w);
    /* Not synced: worker_save does that for all lines since the one before. */
    return run_lease_holds(w->lease, e) && run_lines_append(w->metrics, w->line, bytes, false, e);
}

static outcome tell_divergence(worker *w, const train_report *r, err *e)
{
    /* The step that was tried and has not been counted. */
    long long step = (long long)w->trainer->progress.step + 1;
    if (isfinite(r->nats)) {
        err_set(e, "step %lld: the gradient is not finite; first tensor: %s", step, r->bad);
    } else {
        err_set(e, "step %lld: the loss is %s; first tensor that is not finite: %s", step,
                isnan(r->nats) ? "NaN" : "infinite", r->bad);
    }
    return DIVERGED;
}

/* The order inside a turn is what makes a killed run end with the bits of one that was not:
 *
 *   evaluate what is due   before anything may stop the run, so that no evaluation is left out
 *   stop or save           the checkpoint holds step, position and the sums of the unwritten line
 *   step, log, keep        lines younger than the checkpoint are cut off when the run goes on
 */
static outcome train_to_the_end(worker *w, err *e)
{
    while (!trainer_finished(w->trainer)) {
        if (worker_eval_due(w)) {
            outcome o = worker_eval(w, false, e);
            /* One that was stopped is looked at below, where the run is saved. */
            if (o == WENT_WRONG) return o;
        }
        double now = host_monotonic_s();
        worker_status_tell(w, now);
        if (*w->stop) return worker_save(w, e) ? STOPPED : WENT_WRONG;
        if (w->trainer->progress.step > 0 &&
            now - w->saved_at >= w->work.train.checkpoint_seconds && !worker_save(w, e)) {
            return WENT_WRONG;
        }
        train_report r;
        /* A step whose loss or gradient is no number is reported, not applied: the checkpoint
         * before it stays, for --retry diverged. */
        if (!trainer_step(w->trainer, &r, e)) return WENT_WRONG;
        if (r.bad[0]) return tell_divergence(w, &r, e);
        if (!log_step(w, &r, e) || !worker_save_step(w, e)) return WENT_WRONG;
        file_failpoint("step");
    }
    /* Trained to the end and saved before the final evaluation begins: a kill in it costs the
     * evaluation's part alone. */
    if (!worker_save(w, e)) return WENT_WRONG;
    w->told_at = 0;
    worker_status_tell(w, host_monotonic_s());
    outcome o = worker_eval(w, true, e);
    return o == WENT_WELL && !workload_text_stands(&w->work, e) ? WENT_WRONG : o;
}

/* Every number may be finite, and the run worthless all the same. */
static bool has_blown_up(const worker *w, err *e)
{
    const train_progress *p = &w->trainer->progress;
    return run_verdict_blown_up(&w->work, p, run_verdict_training(p), w->evaluated, e);
}

static int end_run(worker *w, outcome o, err *e)
{
    err also;
    err lost;
    if (o == WENT_WELL && has_blown_up(w, e)) o = DIVERGED;
    /* Whatever went wrong, a rank that is lost is the reason, and no fault of the run: it goes on
     * with others. */
    if (!ranks_whole(w->ranks, e)) o = STOPPED;
    if (!run_lease_holds(w->lease, &lost)) { /* the folder is another's: not a word into it */
        *e = lost;
        return EXIT_BUSY;
    }
    switch (o) {
    case WENT_WELL:
        return worker_status_end(w, RUN_DONE, KIND_NONE, "", e) ? EXIT_DONE : EXIT_FAILED;
    case STOPPED:
        return worker_status_end(w, RUN_INTERRUPTED, KIND_SIGNAL,
                                 e->text[0] ? e->text : STOPPED_TEXT, e)
                   ? EXIT_INTERRUPTED
                   : EXIT_FAILED;
    case DIVERGED:
        worker_status_end(w, RUN_DIVERGED, KIND_DIVERGED, e->text, &also);
        return EXIT_FAILED;
    /* What could not be started at all (spec, data, a damaged checkpoint) would fail again at once;
     * what failed on the way (a full disk) may not. */
    case WENT_WRONG:
    default:
        worker_status_end(w, RUN_FAILED, w->begun || e->outside ? KIND_OTHER : KIND_SPEC, e->text,
                          &also);
        return EXIT_FAILED;
    }
}

static int run_locked(worker *w, err *e)
{
    run_status before;
    char why[ERR_TEXT_BYTES];
    /* A finished run was given to a worker because its spec asks for another evaluation. It stays
     * `done` meanwhile, or `diverged`, where the evaluation that it has says so. */
    bool known = run_status_read(&before, w->folder, NULL);
    bool done = known && (before.state == RUN_DONE ||
                          (before.state == RUN_DIVERGED && evaluate_again_planned(w->folder)));
    run_damage damage = run_damage_find(why, w->folder);
    if (done && run_damage_counts(damage)) {
        return evaluate_again(w->folder, w->lease, NULL, w->stop, e);
    }
    /* Nothing is written, not even that it failed: a disk that cannot be read at the moment would
     * cost the run. */
    if (damage == DAMAGE_UNKNOWN) return err_set(e, "%s", why), EXIT_FAILED;
    if (damage == DAMAGE_END) return run_mend(w->folder, w->lease, w->stop, why, e);
    bool ready = worker_begin_plan(w, e);
    err lost;
    /* Another program's run stays as it is. */
    if (ready && !run_open_precision(w->plan.record, w->folder, e)) return EXIT_FAILED;
    /* From here on files are removed and written, which may be what another machine writes. */
    if (!run_lease_holds(w->lease, &lost)) return *e = lost, EXIT_BUSY;
    if (damage == DAMAGE_PAST) fprintf(stderr, "%s\n", why);
    bool whole = run_damage_counts(damage);
    if (ready && !whole && !worker_begin_mend(w, damage, why, e)) return EXIT_FAILED;
    if (ready && whole && !worker_begin_unknown(w, e)) return EXIT_FAILED;
    /* An unreadable plan has not stopped us above: the status is what tells of it. */
    if (!worker_status_begin(w, e)) return EXIT_FAILED;
    ready = ready && run_folder_tidy(w->folder, e) && worker_begin(w, e);
    int status = end_run(w, ready ? train_to_the_end(w, e) : WENT_WRONG, e);
    /* The status was written first: freeing gigabytes takes time, in which the process may be
     * killed. */
    trainer_free(w->trainer);
    if (w->work.ranks) rank_calls_ask(w->work.ranks, RANK_CLOSE, &lost);
    if (w->work.memory) workload_close(&w->work);
    return status;
}

int worker_run(const char *folder, err *e)
{
    return worker_run_with(folder, NULL, e);
}

int worker_run_with(const char *folder, const worker_company *company, err *e)
{
    install_signals(company ? company->ranks : NULL);
    e->text[0] = 0;
    /* Asked before locking, which would make files in a folder that somebody mistyped. */
    if (!file_is_folder(folder)) {
        return err_set(e, "%s: no such folder; `loci run` makes and fills it", folder), EXIT_FAILED;
    }
    int lock = run_folder_lock(folder, e);
    if (lock < 0) return lock == RUN_FOLDER_BUSY ? EXIT_BUSY : EXIT_FAILED;
    arena_auto *memory = arena_new(1 << 16);
    worker *w = arena_push_zero(memory, 1, sizeof *w);
    w->folder = folder;
    w->memory = memory;
    w->stop = &stop_requested;
    w->company = company;
    w->ranks = company ? company->ranks : NULL;
    w->lease = run_lease_begin(lock, folder, e);
    int status = w->lease ? run_locked(w, e) : EXIT_FAILED;
    json_decref(w->plan.record); /* however far it came */
    run_lease_end(w->lease);
    close(lock);
    return status;
}
