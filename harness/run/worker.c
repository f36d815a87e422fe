#include "harness/run/worker.h"

#include <math.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "core/base/host.h"
#include "core/base/stop_signals.h"
#include "harness/evaluate/diagnose.h"
#include "harness/evaluate/eval_keep.h"
#include "harness/evaluate/rank_calls.h"
#include "harness/run/evaluate_again.h"
#include "harness/run/run_folder.h"
#include "harness/run/run_lease.h"
#include "harness/run/run_length.h"
#include "harness/run/run_lines.h"
#include "harness/run/run_record.h"
#include "harness/run/run_status.h"
#include "harness/train/blowup.h"
#include "harness/train/checkpoint.h"
#include "harness/train/checkpoint_files.h"
#include "harness/train/log_line.h"
#include "harness/train/provenance.h"
#include "results/store/run_damage.h"

/* What must be true of a run's folder at every moment, for a worker may be killed at any, and the
 * machine lose its power:
 *
 *   1. lines whose step is beyond the checkpoint's may be there; they are cut off when the run goes
 *     on, and made again, equal. Lines up to the checkpoint's step must be there: they are on the
 *     disk before the manifest that counts on them
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

/* What a run's folder holds for the worker, and what it works with. */
typedef struct worker {
    const char *folder;
    char metrics[FILE_PATH_BYTES], evals[FILE_PATH_BYTES], checkpoint[FILE_PATH_BYTES];
    planned_run plan;
    arena *memory;
    workload work;
    trainer *trainer;
    run_lease *lease;
    run_status status;
    double saved_at, told_at;       /* monotonic: last checkpoint, last status */
    int64_t saved_step, saved_eval; /* what the checkpoint holds; -1: none */
    double evaluated;               /* nats per token of the final evaluation */
    char line[LOG_LINE_BYTES];
    const worker_company *company; /* NULL: none */
} worker;

/* Why a run's work ended. What may be written of it is decided in one place, end_run. */
typedef enum outcome { WENT_WELL, WENT_WRONG, DIVERGED, STOPPED } outcome;

static rank_group *ranks_of(const worker *w)
{
    return w->company ? w->company->ranks : NULL;
}

static bool read_plan(worker *w, err *e)
{
    return file_join(w->metrics, w->folder, "metrics.jsonl", e) &&
           file_join(w->evals, w->folder, "evals.jsonl", e) &&
           file_join(w->checkpoint, w->folder, "checkpoint", e) &&
           run_record_plan_read(&w->plan, w->memory, w->folder, e);
}

/* ---- status ---- */

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

static void fill_status(worker *w)
{
    run_status *s = &w->status;
    host_memory m = host_memory_now();
    s->peak_rss_bytes = MAX(s->peak_rss_bytes, m.peak_rss_bytes);
    s->peak_anon_bytes = MAX(s->peak_anon_bytes, m.peak_anon_bytes);
    /* Before there is one, what the status said before stands: a run that cannot be opened does not
     * lose where it stood. */
    if (!w->trainer) return;
    const train_progress *p = &w->trainer->progress;
    s->step = p->step;
    s->tokens = p->tokens;
    s->train_seconds = p->seconds;
    s->steps = steps_in_all(w);
}

/* What is told while the run goes on; failing to tell is no reason to stop. */
static void tell_status(worker *w, double now)
{
    if (now - w->told_at < 0.5) return;
    w->told_at = now;
    fill_status(w);
    err ignored;
    if (run_lease_holds(w->lease, &ignored))
        run_status_write(&w->status, w->folder, false, &ignored);
    if (w->company && !w->company->told(w->company->user)) stop_requested = 1;
}

/* `running` is on the disk before anything else changes: killed from here on, the run is one that
 * was interrupted. When it first began and what it took at most are of the run, not of this
 * process. */
static bool begin_status(worker *w, err *e)
{
    run_status before;
    if (!run_status_read(&before, w->folder, NULL)) before = (run_status){0};
    w->status =
        (run_status){.state = RUN_RUNNING,
                     .pid = getpid(),
                     .started_at = before.started_at > 0 ? before.started_at : host_wall_s(),
                     .loss = (double)NAN,
                     .tokens_per_second = (double)NAN,
                     .peak_rss_bytes = before.peak_rss_bytes,
                     .peak_anon_bytes = before.peak_anon_bytes};
    return run_status_write(&w->status, w->folder, true, e);
}

/* Durable: the last word on a run may not be lost with the machine. */
static bool end_status(worker *w, run_state state, run_kind kind, const char *reason, err *e)
{
    fill_status(w);
    w->status.state = state;
    w->status.kind = kind;
    w->status.ended_at = host_wall_s();
    snprintf(w->status.reason, sizeof w->status.reason, "%s", reason);
    return run_status_write(&w->status, w->folder, true, e);
}

/* ---- starting and continuing ---- */

/* Records younger than the checkpoint are cut off: they will be made again, equal. A step's line,
 * then, belongs to the checkpoint that has made this step. Lines without a step are a
 * stranger's. */
static bool keep_metric(void *user, const json_t *line)
{
    const train_progress *p = user;
    int64_t step = json_get_int(line, "step", -1);
    return step >= 0 && step <= p->step;
}

static bool keep_eval(void *user, const json_t *line)
{
    const train_progress *p = user;
    int64_t step = json_get_int(line, "step", -1);
    /* The final line always goes: a run that is not done has to evaluate again in any case, and
     * what the evaluation kept on the way makes that short. At the checkpoint's own step the line
     * stays only where the checkpoint knows of the evaluation (eval_at); otherwise it would stand
     * there twice. */
    if (step < 0 || json_is_true(json_object_get(line, "final"))) return false;
    return step < p->step || (step == p->step && p->eval_at == step);
}

/* Written anew by every worker of the run: host, processor and versions are those of who worked on
 * it last. */
static bool write_provenance(worker *w, err *e)
{
    char path[FILE_PATH_BYTES];
    if (!file_join(path, w->folder, "run.json", e)) return false;
    json_auto_t *o = provenance_record(w->plan.record, w->trainer);
    return json_write(path, o, e);
}

static void note_saved(worker *w)
{
    const train_progress *p = &w->trainer->progress;
    w->saved_at = host_monotonic_s();
    w->saved_step = p->step;
    w->saved_eval = p->eval_at;
}

/* The folder of all runs' folders: other runs lie beside this one. */
static const char *runs_folder(const worker *w)
{
    char path[FILE_PATH_BYTES];
    err ignored;
    return file_join(path, w->folder, "..", &ignored) ? arena_strdup(w->memory, path) : NULL;
}

/* Into the run's log: what it starts with, and what init_from did not find. */
static bool log_source(worker *w, err *e)
{
    const workload *work = &w->work;
    if (!work->source) return true;
    const char *text =
        trained_model_source_summary(work->source, &work->init, model_params_const(work->model), e);
    if (text) fprintf(stderr, "%s\n", text);
    return text != NULL;
}

/* What training left, so that it begins again; the plan and the status stay. */
static bool forget_training(const worker *w, err *e)
{
    return file_remove_tree(w->checkpoint, e) && file_remove(w->metrics, e) &&
           file_remove(w->evals, e) && eval_keep_clear(w->folder, e);
}

/* A run that is damaged is taken up where its checkpoint stands, a finished one at the end, or at
 * the beginning. What is removed goes before the status says anything else: killed on
 * the way, the run is still damaged. */
static bool mend(worker *w, run_damage damage, const char *why, err *e)
{
    char speed[FILE_PATH_BYTES];
    if (!file_join(speed, w->folder, "speed.json", e)) return false;
    fprintf(stderr, "%s: %s\n", why,
            damage == DAMAGE_TRAINING ? "it is trained again" : "it is written anew");
    json_auto_t *o = file_exists(speed) ? json_read(speed, NULL) : NULL;
    bool ok = o || file_remove(speed, e); /* measured beside, and not to be made again here */
    return ok && (damage != DAMAGE_TRAINING || forget_training(w, e));
}

/* The text and the model are opened by every rank from the plan itself; only the folder's name is
 * sent. On all ranks at once. */
static bool open_workload(worker *w, err *e)
{
    rank_group *r = ranks_of(w);
    char folder[FILE_PATH_BYTES];
    snprintf(folder, sizeof folder, "%s", w->folder);
    if (!rank_calls_ask(r, RANK_OPEN, e) || !rank_calls_path(r, folder, e)) return false;
    bool ok = workload_open_beside(&w->work, w->plan.spec, w->plan.seed, &w->plan.places,
                                   runs_folder(w), e);
    if (!ranks_agree(r, ok, e)) return false;
    w->work.ranks = r;
    return true;
}

/* 0: tokens have no text that they stand for exactly. */
static double bytes_per_token(const workload *w)
{
    const corpus_split *text = corpus_get(w->corpus, SPLIT_TRAIN);
    if (!text || !corpus_lossless(w->corpus) || split_tokens(text) == 0) return 0;
    return (double)split_bytes(text) / (double)split_tokens(text);
}

/* The order: the workload, for the length may have to be measured with it; the length, which the
 * trainer's schedule depends on; the trainer; the checkpoint into it; then the records are cut to
 * where that stands. Provenance last, when nothing can fail any more but training. */
static bool start_training(worker *w, err *e)
{
    train_length length;
    if (!open_workload(w, e)) return false;
    if (!run_length_find(&length, &w->work, w->folder, w->plan.threads, e)) return false;
    w->trainer = trainer_new(&w->work, w->plan.threads, length, e);
    if (!w->trainer || !log_source(w, e)) return false;
    w->status.bytes_per_token = bytes_per_token(&w->work);
    w->saved_step = -1;
    if (checkpoint_files_exist(w->checkpoint)) {
        if (!checkpoint_load(w->checkpoint, w->trainer, e)) return false;
        note_saved(w);
    }
    train_progress *p = &w->trainer->progress;
    if (!run_lines_filter(w->metrics, keep_metric, p, e)) return false;
    if (!run_lines_filter(w->evals, keep_eval, p, e)) return false;
    w->saved_at = w->told_at = host_monotonic_s();
    return write_provenance(w, e);
}

/* ---- the run ---- */

static bool save_checkpoint(worker *w, err *e)
{
    const train_progress *p = &w->trainer->progress;
    /* The same step can be saved twice: once before its evaluation, and once after, so that it is
     * not made again. */
    if (p->step == w->saved_step && p->eval_at == w->saved_eval) return true;
    if (!run_lease_holds(w->lease, e)) return false;
    /* What the checkpoint says was logged must be on the disk before it. */
    if (!run_lines_append(w->metrics, "", 0, true, e)) return false;
    if (!checkpoint_save(w->checkpoint, w->trainer, w->plan.run, e)) return false;
    note_saved(w);
    return true;
}

/* Before anything that says the step is done: if killed in between, it is kept on the way again. */
static bool keep_model(worker *w, const char *name, double nats, err *e)
{
    char path[FILE_PATH_BYTES], folder[64];
    snprintf(folder, sizeof folder, CHECKPOINT_KEPT "%s", name);
    /* A kept model carries its own step: the same one made again, after a kill, finds itself there
     * and leaves it (checkpoint_keep). */
    file_failpoint("keep");
    return run_lease_holds(w->lease, e) && file_join(path, w->folder, folder, e) &&
           checkpoint_keep(path, w->trainer, w->plan.run, nats, e);
}

static bool keep_step(worker *w, err *e)
{
    int64_t step = w->trainer->progress.step, every = w->work.train.keep_every;
    char name[32];
    if (every == 0 || step % every != 0) return true;
    snprintf(name, sizeof name, "%lld", (long long)step);
    return keep_model(w, name, (double)NAN, e);
}

/* Only where there are experts: who looks on costs time, and has one call at a time. Not so soon
 * after the evaluation before (a last step behind one on the way) that what cannot have moved yet
 * would look stable; not where the model learns while it is evaluated.
 */
static bool routing_is_traced(const worker *w, const train_progress *p)
{
    return params_have_pieces(model_params_const(w->work.model)) &&
           w->work.eval.dynamic.kind == DYNAMIC_NONE &&
           2 * (p->step - p->eval_at) >= w->work.train.eval_every;
}

/* While an evaluation goes on. */
static void tell_share(void *user, int64_t tokens, int64_t of, double seconds)
{
    worker *w = user;
    w->status.eval_share = of > 0 ? (double)tokens / (double)of : 0;
    w->status.eval_seconds = seconds;
    tell_status(w, host_monotonic_s());
}

static bool may_write(void *user, err *e)
{
    return run_lease_holds(((worker *)user)->lease, e);
}

static outcome run_eval(worker *w, bool final, err *e)
{
    const workload *work = &w->work;
    train_progress *p = &w->trainer->progress;
    eval_task task =
        workload_evaluation(work, w->trainer->values, w->plan.threads, &stop_requested);
    /* Slices and losses per token are of the final evaluation only: those on the way are there to
     * be seen, not to be compared. */
    task.slices = final;
    task.reader = (eval_reader){tell_share, w};
    /* Named by its identity, so that another evaluation's part (other options, an earlier step) is
     * never taken for this one's. */
    char id[EVAL_ID_CHARS], name[64], path[FILE_PATH_BYTES], part[FILE_PATH_BYTES];
    eval_record_task_id(id, &task, w->plan.run, p->step);
    snprintf(name, sizeof name, "losses-%s.f32", id);
    if (!file_join(path, w->folder, name, e) || !eval_keep_path(part, w->folder, id, e))
        return WENT_WRONG;
    /* As often as training saves itself: the same time may be lost. */
    const eval_keep keep = {part, work->train.checkpoint_seconds, may_write, w};
    task.keep = &keep;
    if (final && work->eval.losses) task.losses_path = path;
    eval_watch watch;
    if (routing_is_traced(w, p)) {
        watch = routing_trace_begin(w->trainer->routing, &task);
        task.watch = &watch;
    }
    evaluation r;
    json_t *more;
    bool ok = diagnose_evaluation(&r, &more, &task, final, e);
    /* Nothing to free: *more and r are set only by an evaluation that went well. */
    if (!ok) return WENT_WRONG;
    if (!r.stopped) w->status.eval_share = w->status.eval_seconds = 0;
    outcome o = STOPPED;
    file_failpoint("evaluated");
    if (!r.stopped && !run_lease_holds(w->lease, e)) {
        o = WENT_WRONG;
    } else if (!r.stopped) {
        json_auto_t *record = eval_record(&r, &task, id, p->step, p->tokens, final);
        json_t *layers = task.watch ? routing_trace_end(w->trainer->routing) : NULL;
        if (layers) json_object_set_new(record, "layers", layers);
        json_object_update_recursive(record, more);
        /* From this line on the evaluation exists. eval_at is set after it, and saved by the next
         * checkpoint only: killed in between, the line is cut off and made again. */
        o = run_lines_append_record(w->evals, record, e) ? WENT_WELL : WENT_WRONG;
        if (final && o == WENT_WELL && !run_record_final(w->folder, &w->plan, e)) o = WENT_WRONG;
        p->eval_at = p->step;
        /* For has_blown_up. */
        w->evaluated = r.nats / (double)r.tokens;
        if (o == WENT_WELL && work->train.keep_best &&
            !keep_model(w, "best", r.nats / (double)r.tokens, e)) {
            o = WENT_WRONG;
        }
        file_failpoint("eval_line");
        if (o == WENT_WELL && !eval_keep_clear(w->folder, e)) o = WENT_WRONG;
    }
    json_decref(more);
    evaluate_deinit(&r);
    return o;
}

static bool log_step(worker *w, const train_report *r, err *e)
{
    train_progress *p = &w->trainer->progress;
    int64_t every = w->work.train.log_every;
    /* The first step's loss says what an untrained model has, and the last one's where it ended. */
    if (p->step != 1 && p->step % every != 0 && !trainer_finished(w->trainer)) return true;
    size_t bytes = log_line(w->line, p, r);
    w->status.loss = p->window_nats / p->window_weight;
    w->status.tokens_per_second = p->window_weight / p->window_seconds;
    /* After the line was formatted, not after it was written: the checkpoint that follows holds an
     * empty window for a line that it counts as there. */
    p->window_nats = p->window_weight = p->window_seconds = 0;
    fill_status(w);
    /* Not synced: save_checkpoint does that for all lines since the one before. */
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

static bool eval_due(const worker *w)
{
    const train_progress *p = &w->trainer->progress;
    int64_t every = w->work.train.eval_every;
    /* Not at step 0, where a continued run has nothing to say; not twice at the same step (eval_at
     * comes with the checkpoint). The last step's is made as the final one, by train_to_the_end. */
    return every > 0 && p->step > 0 && p->step % every == 0 && p->eval_at != p->step;
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
        if (eval_due(w)) {
            outcome o = run_eval(w, false, e);
            /* One that was stopped is looked at below, where the run is saved. */
            if (o == WENT_WRONG) return o;
        }
        double now = host_monotonic_s();
        tell_status(w, now);
        if (stop_requested) return save_checkpoint(w, e) ? STOPPED : WENT_WRONG;
        if (w->trainer->progress.step > 0 &&
            now - w->saved_at >= w->work.train.checkpoint_seconds && !save_checkpoint(w, e)) {
            return WENT_WRONG;
        }
        train_report r;
        /* A step whose loss or gradient is no number is reported, not applied: the checkpoint
         * before it stays, for --retry diverged. */
        if (!trainer_step(w->trainer, &r, e)) return WENT_WRONG;
        if (r.bad[0]) return tell_divergence(w, &r, e);
        if (!log_step(w, &r, e) || !keep_step(w, e)) return WENT_WRONG;
        file_failpoint("step");
    }
    /* Trained to the end and saved before the final evaluation begins: a kill in it costs the
     * evaluation's part alone. */
    if (!save_checkpoint(w, e)) return WENT_WRONG;
    w->told_at = 0;
    tell_status(w, host_monotonic_s());
    return run_eval(w, true, e);
}

/* Every number may be finite, and the run worthless all the same. Nothing is asked of a model that
 * was not trained. */
static bool has_blown_up(const worker *w, err *e)
{
    const train_progress *p = &w->trainer->progress;
    char text[BLOWUP_TEXT_BYTES];
    const blowup_facts facts = {
        .vocab = model_vocab(w->work.model),
        .first = p->first_loss,
        .last = p->last_loss,
        .evaluated = w->evaluated,
        .step_targets = w->work.shape.targets_per_step,
        .further = blowup_further(w->work.corpus, eval_options_split(&w->work.eval))};
    if (p->tokens == 0 || !blowup_find(text, &facts)) return false;
    err_set(e, "step %lld: %s", (long long)p->step, text);
    return true;
}

/* begun: it could be started, so what went wrong came later. */
static int end_run(worker *w, outcome o, bool begun, err *e)
{
    err also;
    err lost;
    if (o == WENT_WELL && has_blown_up(w, e)) o = DIVERGED;
    /* Whatever went wrong, a rank that is lost is the reason, and no fault of the run: it goes on
     * with others. */
    if (!ranks_whole(ranks_of(w), e)) o = STOPPED;
    if (!run_lease_holds(w->lease, &lost)) { /* the folder is another's: not a word into it */
        *e = lost;
        return EXIT_BUSY;
    }
    switch (o) {
    case WENT_WELL:
        return end_status(w, RUN_DONE, KIND_NONE, "", e) ? EXIT_DONE : EXIT_FAILED;
    case STOPPED:
        return end_status(w, RUN_INTERRUPTED, KIND_SIGNAL, e->text[0] ? e->text : STOPPED_TEXT, e)
                   ? EXIT_INTERRUPTED
                   : EXIT_FAILED;
    case DIVERGED:
        end_status(w, RUN_DIVERGED, KIND_DIVERGED, e->text, &also);
        return EXIT_FAILED;
    /* What could not be started at all (spec, data, a damaged checkpoint) would fail again at once;
     * what failed on the way (a full disk) may not. */
    case WENT_WRONG:
    default:
        end_status(w, RUN_FAILED, begun ? KIND_OTHER : KIND_SPEC, e->text, &also);
        return EXIT_FAILED;
    }
}

static int run_locked(worker *w, err *e)
{
    run_status before;
    char why[ERR_TEXT_BYTES];
    /* A finished run was given to a worker because its spec asks for another evaluation. It stays
     * `done` meanwhile. */
    bool done = run_status_read(&before, w->folder, NULL) && before.state == RUN_DONE;
    run_damage damage = run_damage_find(why, w->folder);
    if (done && damage == DAMAGE_NONE)
        return evaluate_again(w->folder, w->lease, &stop_requested, e);
    /* Nothing is written, not even that it failed: a disk that cannot be read at the moment would
     * cost the run. */
    if (damage == DAMAGE_UNKNOWN) return err_set(e, "%s", why), EXIT_FAILED;
    bool ready = read_plan(w, e);
    if (ready && damage != DAMAGE_NONE && !mend(w, damage, why, e)) return EXIT_FAILED;
    if (!begin_status(w, e)) return EXIT_FAILED;
    /* An unreadable plan has not stopped us above: the status is what tells of it. */
    /* What is removed may be what another machine is writing, unless the folder is ours. */
    ready = ready && run_lease_holds(w->lease, e) && run_folder_tidy(w->folder, e) &&
            start_training(w, e);
    int status = end_run(w, ready ? train_to_the_end(w, e) : WENT_WRONG, ready, e);
    /* The status was written first: freeing gigabytes takes time, in which the process may be
     * killed. */
    trainer_free(w->trainer);
    err lost;
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
    w->company = company;
    w->lease = run_lease_begin(lock, folder, e);
    int status = w->lease ? run_locked(w, e) : EXIT_FAILED;
    json_decref(w->plan.record); /* however far it came */
    run_lease_end(w->lease);
    close(lock);
    return status;
}
