#include "harness/run/worker_begin.h"

#include <string.h>

#include "core/base/host.h"
#include "core/base/text.h"
#include "harness/evaluate/eval_keep.h"
#include "harness/evaluate/rank_calls.h"
#include "harness/run/rank_alike.h"
#include "harness/run/run_length.h"
#include "harness/run/run_lines.h"
#include "harness/run/run_open.h"
#include "harness/run/set_aside.h"
#include "harness/run/worker_eval.h"
#include "harness/run/worker_save.h"
#include "harness/train/checkpoint.h"
#include "harness/train/checkpoint_files.h"
#include "harness/train/provenance.h"

bool worker_begin_plan(worker *w, err *e)
{
    return file_join(w->metrics, w->folder, "metrics.jsonl", e) &&
           file_join(w->evals, w->folder, "evals.jsonl", e) &&
           file_join(w->checkpoint, w->folder, "checkpoint", e) &&
           run_record_plan_read(&w->plan, w->memory, w->folder, e);
}

/* Records younger than the checkpoint are cut off: they will be made again, equal. A step's line,
 * then, belongs to the checkpoint that has made this step. Lines without a step are a
 * stranger's. */
typedef struct cutting {
    const train_progress *p;
    bool ended;                /* no step is to come */
    bool again;                /* the run's own evaluation is made where it stands */
    int64_t last;              /* step of the last line that is kept */
    char own[EVAL_ID_CHARS];   /* the run's own evaluation, where it stands */
    const run_damage_own *due; /* where its own are due; NULL: that is not known */
} cutting;

static bool keep_metric(void *user, const json_t *line)
{
    cutting *c = user;
    int64_t step = json_get_int(line, "step", -1);
    bool keeps = step >= 0 && step <= c->p->step;
    /* The end of a shorter run that this one goes on from: its steps are part of the next line. */
    if (step == c->p->step && c->p->window_weight > 0 && !c->ended) keeps = false;
    if (keeps) c->last = step;
    return keeps;
}

static bool keep_eval(void *user, const json_t *line)
{
    cutting *c = user;
    const train_progress *p = c->p;
    int64_t step = json_get_int(line, "step", -1);
    bool final = json_is_true(json_object_get(line, "final"));
    /* What else was asked of the checkpoint's model stays: by loci eval, or, of one that is trained
     * to its end, by another `eval:` section. The final line goes: a run that is not done has to
     * evaluate again in any case, and what the evaluation kept on the way makes that short. At the
     * checkpoint's own step the line goes that is made again, and would stand there twice. */
    const char *id = json_get_text(line, "eval");
    if (step == p->step && id && strcmp(id, c->own) != 0) return c->ended || !final;
    if (step < 0 || final) return false;
    bool keeps = step < p->step || (step == p->step && !c->again);
    if (keeps && (!c->due || run_damage_own_step(c->due, step))) c->last = step;
    return keeps;
}

/* Into the run's log: what is damaged is not made again where training does not pass it once more.
 * There it stays, or a mark takes its place: the gap is told of the run as long as it is there.
 * due: the step of the last line that has to be there; *stood: that of the last one that was. */
static bool cut_lines(cutting c, const char *path, line_keep keep, int64_t due, int64_t *stood,
                      err *e)
{
    int64_t damaged;
    if (!run_lines_filter(path, keep, &c, &damaged, e)) return false;
    if (damaged > 0) {
        fprintf(stderr, "%s:%lld: is no JSON, or no longer what was written; it counts no more\n",
                path, (long long)damaged);
    }
    *stood = MAX(c.last, due);
    if (c.last >= due) return true;
    file_failpoint("lines_cut");
    fprintf(stderr, "%s: lines until step %lld are lost\n", path, (long long)due);
    return run_lines_mark_lost(path, e);
}

static bool note_losses(void *names, const json_t *line)
{
    const char *name = json_get_text(line, "losses");
    if (name) json_object_set_new(names, name, json_true());
    return true;
}

/* Losses of evaluations whose lines were cut: nobody would find them. */
static bool remove_losses(const worker *w, err *e)
{
    json_auto_t *names = json_object();
    bool ok = run_lines_look(w->evals, note_losses, names, e);
    file_walk walk = file_walk_begin(w->folder, e);
    while (ok && file_walk_next(&walk)) {
        bool losses = strncmp(walk.name, "losses-", 7) == 0 && text_ends(walk.name, ".f32");
        if (losses && !json_object_get(names, walk.name)) ok = file_remove(walk.path, e);
    }
    return file_walk_end(&walk) && ok;
}

/* What the run was trained by last; NULL: nothing is known. */
static json_t *read_provenance(const worker *w)
{
    char path[FILE_PATH_BYTES];
    if (!file_join(path, w->folder, "run.json", NULL) || !file_exists(path)) return NULL;
    return json_read(path, NULL);
}

/* Of a run that goes on from a shorter one: what that was trained by, as long as it is there. Its
 * checkpoint says whose it is. */
static json_t *read_beginning(const worker *w)
{
    char path[FILE_PATH_BYTES], runs[FILE_PATH_BYTES], folder[FILE_PATH_BYTES];
    safetensors *s = checkpoint_files_path(path, w->checkpoint, "model", NULL)
                         ? safetensors_open(path, NULL)
                         : NULL;
    const char *run = s ? safetensors_metadata(s, "run") : NULL;
    bool named = run && file_join(runs, w->folder, "..", NULL) &&
                 file_within(folder, runs, run, NULL) && file_join(path, folder, "run.json", NULL);
    safetensors_close(s);
    return named && file_exists(path) ? json_read(path, NULL) : NULL;
}

/* Written anew by every worker of the run: host, processor and versions are those of who worked on
 * it last, those before are `sittings`. What has stood there then has to be there from now on:
 * later ones may log, and evaluate, more often. */
static bool write_provenance(worker *w, const json_t *before, const run_damage_due *stood, err *e)
{
    char path[FILE_PATH_BYTES];
    int64_t step = w->trainer->progress.step;
    if (!file_join(path, w->folder, "run.json", e)) return false;
    json_auto_t *o = provenance_record(w->plan.record, w->trainer);
    json_auto_t *beginning = before ? NULL : read_beginning(w);
    provenance_sittings(o, before ? before : beginning, step);
    json_t *resumed = json_pack("{s:I, s:I, s:I}", "step", (json_int_t)step, "metrics",
                                (json_int_t)stood->metrics, "evals", (json_int_t)stood->evals);
    json_object_set_new(o, "resumed", step > 0 ? resumed : json_null());
    if (step == 0) json_decref(resumed);
    return json_write(path, o, e);
}

/* The records are cut to where the trainer stands, and it is said who works on the run. */
static bool begin_records(worker *w, err *e)
{
    json_auto_t *before = read_provenance(w);
    const train_progress *p = &w->trainer->progress;
    run_damage_due stood, due = run_damage_lines_due(before, p->step);
    const run_damage_own own = run_damage_own_evals(before, p->step);
    bool ended = trainer_finished(w->trainer);
    cutting c = {.p = p, .ended = ended, .again = ended || worker_eval_due(w)};
    c.due = before ? &own : NULL;
    worker_eval_id(c.own, w);
    return cut_lines(c, w->metrics, keep_metric, due.metrics, &stood.metrics, e) &&
           cut_lines(c, w->evals, keep_eval, due.evals, &stood.evals, e) && remove_losses(w, e) &&
           write_provenance(w, before, &stood, e);
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

/* What training left, so that it begins again; the plan and the status stay. Whatever of it is
 * whole took hours: it lies beside until the run has ended, and gc comes. The checkpoint goes last,
 * as it is by the checkpoint that the damage is found. */
static bool forget_training(const worker *w, err *e)
{
    return set_aside_move(w->folder, "metrics.jsonl", e) &&
           set_aside_move(w->folder, "evals.jsonl", e) &&
           set_aside_move(w->folder, "checkpoint", e) && eval_keep_clear(w->folder, e);
}

/* What is removed, or set aside, goes before the status says anything else: killed on the way, the
 * run is still damaged. */
bool worker_begin_mend(worker *w, run_damage damage, const char *why, err *e)
{
    char speed[FILE_PATH_BYTES];
    if (!file_join(speed, w->folder, "speed.json", e)) return false;
    fprintf(stderr, "%s: %s\n", why,
            damage == DAMAGE_TRAINING ? "it is trained again; what is there is set aside"
                                      : "it is written anew");
    json_auto_t *o = file_exists(speed) ? json_read(speed, NULL) : NULL;
    bool ok = o || file_remove(speed, e); /* measured beside, and not to be made again here */
    return ok && (damage != DAMAGE_TRAINING || forget_training(w, e));
}

/* It would begin again all the same, and write over its lines; where there are none this does
 * nothing. Killed on the way, the next worker finds the rest without a status as well. */
bool worker_begin_unknown(const worker *w, err *e)
{
    char path[FILE_PATH_BYTES];
    if (!file_join(path, w->folder, "status.json", e)) return false;
    return file_exists(path) || checkpoint_files_exist(w->checkpoint) || forget_training(w, e);
}

/* The text and the model are opened by every rank from the plan itself; only the folder's name is
 * sent. On all ranks at once. */
static bool open_workload(worker *w, err *e)
{
    rank_group *r = w->ranks;
    char folder[FILE_PATH_BYTES];
    snprintf(folder, sizeof folder, "%s", w->folder);
    if (!rank_calls_ask(r, RANK_OPEN, e) || !rank_calls_path(r, folder, e)) return false;
    bool ok = run_open(&w->work, &w->plan, w->folder, e);
    if (!ranks_agree(r, ok, e) || !rank_alike_run(r, &w->work, &w->plan, e)) return false;
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
bool worker_begin(worker *w, err *e)
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
        worker_save_note(w);
    }
    w->saved_at = w->told_at = host_monotonic_s();
    w->begun = begin_records(w, e);
    return w->begun;
}
