#include "harness/run/evaluate_again.h"

#include <string.h>

#include "core/base/file.h"
#include "harness/evaluate/cleared.h"
#include "harness/evaluate/diagnose.h"
#include "harness/evaluate/eval_keep.h"
#include "harness/evaluate/routing_trace.h"
#include "harness/run/exit_status.h"
#include "harness/run/run_lines.h"
#include "harness/run/run_open.h"
#include "harness/run/run_record.h"
#include "harness/run/run_status.h"
#include "harness/run/worker_eval.h"
#include "harness/train/checkpoint_files.h"

/* What may be missing where a finished run's spec asks for another final evaluation, and only what
 * is missing is made:
 *
 *   no line of this identity        the whole evaluation, from the checkpoint's model
 *   a line, without losses          the same, for they come with it
 *   a line, with another sample, or without what states are worth
 *                                   that anew, and the line again with it
 *   a line that is not the last     the line again: the last final one is the one that counts
 *
 * evals.jsonl is only added to, so that going back to an earlier `eval:` costs nothing. final.json
 * says which options the last line answers, and is written last; comparing it with the plan is all
 * that evaluate_again_wanted does, for it is asked of every finished run of a sweep.
 *
 * The state stays `done` (or `diverged`, as an evaluation before has said), so a reader never sees
 * results go away while they are made again. */

/* Of what is told beside the loss, and is no part of what an evaluation is (evaluate.c): what one
 * that was asked for `before` lacks. What it has beyond that does no harm. */
static bool asks_for_more(arena *a, const node *before, const node *now)
{
    eval_options had, wants;
    if (!eval_options_read(&had, before, a, NULL) || !eval_options_read(&wants, now, a, NULL)) {
        return false;
    }
    return (wants.losses && !had.losses) ||
           (cleared_is_asked(&wants) && wants.cleared != had.cleared);
}

/* What was changed, not what was written: a default written out asks for nothing new. */
static bool asks_for_another(arena *a, const char *folder, const node *eval)
{
    char path[FILE_PATH_BYTES];
    /* Without the record of what was asked nobody knows whether it differs; the folder is left as
     * it is. */
    if (!file_join(path, folder, "final.json", NULL) || !file_exists(path)) return false;
    const node *had = node_get(node_load(a, path, NULL), "eval");
    const node *before = eval_options_changed(a, had), *now = eval_options_changed(a, eval);
    return before && now && (!node_equal(before, now) || asks_for_more(a, had, eval));
}

bool evaluate_again_wanted(const char *folder, const run_plan *plan)
{
    arena_auto *a = arena_new(1 << 14);
    return asks_for_another(a, folder, node_get(plan->resolved, "eval"));
}

bool evaluate_again_planned(const char *folder)
{
    char path[FILE_PATH_BYTES];
    if (!file_join(path, folder, "plan.json", NULL) || !file_exists(path)) return false;
    arena_auto *a = arena_new(1 << 14);
    const node *plan = node_load(a, path, NULL);
    return plan && asks_for_another(a, folder, node_at(plan, "spec.eval"));
}

/* What evals.jsonl knows of a final evaluation. */
typedef struct search {
    const char *id;
    const json_t *protocol;
    int64_t step;
    json_t *found;  /* its last record */
    bool is_final;  /* it is the last one that says so */
    int64_t before; /* the step of the one on the way that it would be compared with; -1: none */
    run_training training; /* as a final line has noted it */
} search;

/* One that somebody asked for (`loci eval`) is of the last step. */
static void note_on_the_way(search *s, const json_t *line)
{
    int64_t step = json_get_int(line, "step", -1);
    bool alike = json_equal(json_object_get(line, "protocol"), s->protocol);
    if (alike && step < s->step) s->before = MAX(s->before, step);
}

static bool find_final(void *user, const json_t *line)
{
    search *s = user;
    const char *id = json_get_text(line, "eval");
    /* One that somebody asked for has no losses per token. */
    if (!json_is_true(json_object_get(line, "final"))) {
        note_on_the_way(s, line);
        return true;
    }
    if (json_object_get(line, "training")) s->training = run_verdict_noted(line);
    s->is_final = id && strcmp(id, s->id) == 0;
    if (s->is_final) {
        json_decref(s->found);
        s->found = json_deep_copy(line);
    }
    return true;
}

/* What takes the place of a trainer: values alone, without moments or a stream, and these only
 * where something is made of them: what is there counts, whatever became of the model. */
typedef struct again {
    run_lease *lease;
    const char *folder;
    char evals[FILE_PATH_BYTES];
    planned_run plan;
    workload work;
    real *values; /* NULL: not loaded yet */
    int64_t step, tokens;
    run_training training; /* to be judged by the evaluation that is made */
    bool diverged;         /* so an evaluation before has said */
} again;

static bool load_values(again *x, err *e)
{
    char path[FILE_PATH_BYTES];
    safetensors *s = NULL;
    const params *p = model_params_const(x->work.model);
    x->values = ARENA_NEW(x->work.memory, real, p->total);
    /* Starting values below those of the file, so that nothing in the buffer is left unset. */
    if (!file_join(path, x->folder, "checkpoint", e) || !workload_start(&x->work, x->values, e) ||
        !(s = checkpoint_files_open(path, "model", e))) {
        return false;
    }
    int64_t step = checkpoint_files_number(s, "step");
    bool ok = step == x->step || err_set(e, "%s: is of step %lld, and the run ended at %lld", path,
                                         (long long)step, (long long)x->step);
    ok = ok && checkpoint_files_values(x->values, p, s, e);
    safetensors_close(s);
    return ok;
}

/* An evaluation that says that the model is worth nothing marks the run, as one at the end of
 * training does, whoever made it: a process may have been killed behind the line. The mark is of
 * the evaluation that counts: one that says otherwise takes it away. EXIT_DONE or, with e,
 * EXIT_FAILED; *judged: the status says so. */
static int judge(bool *judged, const again *x, const json_t *line, err *e)
{
    const train_progress at = {.step = x->step, .tokens = x->tokens};
    bool blown = run_verdict_blown_up(&x->work, &at, run_verdict_noted(line),
                                      run_verdict_evaluated(line), e);
    *judged = true;
    if (!blown && !x->diverged) return EXIT_DONE;
    /* Read again: of the run as it stands, only state, kind and reason change. */
    run_status status;
    err unwritten;
    *judged = run_status_read(&status, x->folder, &unwritten);
    status.state = blown ? RUN_DIVERGED : RUN_DONE;
    status.kind = blown ? KIND_DIVERGED : KIND_NONE;
    snprintf(status.reason, sizeof status.reason, "%s", blown ? e->text : "");
    *judged = *judged && run_status_write(&status, x->folder, true, &unwritten);
    if (!*judged) *e = unwritten;
    return blown || !*judged ? EXIT_FAILED : EXIT_DONE;
}

static bool may_write(void *user, err *e)
{
    return run_lease_holds(((again *)user)->lease, e);
}

/* Hours may have passed since the folder was taken. */
static int add_line(again *x, const json_t *record, err *e)
{
    if (!run_lease_holds(x->lease, e)) return EXIT_BUSY;
    return run_lines_append_record(x->evals, record, e) ? EXIT_DONE : EXIT_FAILED;
}

/* What routed layers changed since the evaluation before is known by the training state, which is
 * not here: where it would be told it is said to be unknown. The caller frees the trace. */
static routing_trace *trace_routing(eval_watch *watch, again *x, eval_task *task, int64_t before)
{
    if (before < 0 || !worker_eval_traces(&x->work, x->step - before)) return NULL;
    routing_trace *trace = routing_trace_new();
    *watch = routing_trace_begin(trace, task);
    task->watch = watch;
    return trace;
}

/* What the training state knew of layers and training stands in the line before (NULL: none) of the
 * same evaluation, and is told on. */
static void put_over(json_t *record, const json_t *before)
{
    json_auto_t *both = json_deep_copy(before);
    json_object_del(both, "sample");
    json_object_update_recursive(both, record);
    json_object_update(record, both);
}

/* s: what was there before, and what is there then. */
static int evaluate_and_record(again *x, search *s, const eval_task *asked, err *e)
{
    char name[64], path[FILE_PATH_BYTES], part[FILE_PATH_BYTES];
    const char *id = s->id;
    evaluation r;
    eval_watch watch;
    snprintf(name, sizeof name, "losses-%s.f32", id);
    if (!file_join(path, x->folder, name, e) || !eval_keep_path(part, x->folder, id, e))
        return EXIT_FAILED;
    const eval_keep keep = {part, x->work.train.checkpoint_seconds, may_write, x, worker_eval_lost};
    eval_task task = *asked;
    task.keep = &keep;
    if (x->work.eval.losses) task.losses_path = path;
    json_t *more = NULL;
    routing_trace *trace = trace_routing(&watch, x, &task, s->found ? -1 : s->before);
    bool ok = diagnose_evaluation(&r, &more, &task, true, e);
    json_auto_t *unknown = ok && trace ? routing_trace_unknown(trace) : NULL;
    routing_trace_free(trace);
    if (!ok) return EXIT_FAILED;
    int status = EXIT_INTERRUPTED;
    if (!r.stopped) {
        json_auto_t *record = eval_record(&r, &task, id, x->step, x->tokens, true);
        if (unknown) json_object_set(record, "layers", unknown);
        json_object_update_recursive(record, more);
        run_verdict_note(record, x->training);
        put_over(record, s->found);
        /* The line first: what was kept on the way can be used until it stands. */
        status = add_line(x, record, e);
        if (status == EXIT_DONE && !eval_keep_clear(x->folder, e)) status = EXIT_FAILED;
        json_decref(s->found);
        s->found = json_incref(record);
    }
    json_decref(more);
    evaluate_deinit(&r);
    return status;
}

/* The figures are there, but another text, or none, was written after them, or states cleared on
 * other tokens, or none: the line again, with that. */
static int tell_anew(again *x, json_t *record, const eval_task *task, err *e)
{
    const eval_options *o = task->options;
    json_auto_t *worth = NULL;
    if (!cleared_is(record, o)) {
        if (!cleared_measure(&worth, task, e)) return EXIT_FAILED;
        if (!worth) return EXIT_INTERRUPTED;
        cleared_note(record, worth, o);
    }
    if (!sample_is(json_object_get(record, "sample"), &o->sample)) {
        json_t *sample = sample_draw(&o->sample, task->model, x->values, x->work.corpus, task->seed,
                                     task->stop, e);
        if (!sample) return task->stop && *task->stop ? EXIT_INTERRUPTED : EXIT_FAILED;
        json_object_set_new(record, "sample", sample);
    }
    return add_line(x, record, e);
}

/* Where only answers are scored there are none to keep. */
static bool lacks_losses(const json_t *record, const eval_options *o)
{
    return o->losses && json_is_null(json_object_get(record, "losses")) &&
           !json_object_get(record, "recall");
}

static int make_missing(again *x, search *s, eval_task *task, err *e)
{
    const eval_options *o = task->options;
    bool read = s->found && !lacks_losses(s->found, o);
    bool told =
        sample_is(json_object_get(s->found, "sample"), &o->sample) && cleared_is(s->found, o);
    /* Made before: it counts again. */
    if (read && told) return s->is_final ? EXIT_DONE : add_line(x, s->found, e);
    if (!load_values(x, e)) return EXIT_FAILED;
    task->values = x->values;
    return read ? tell_anew(x, s->found, task, e) : evaluate_and_record(x, s, task, e);
}

static bool read_end(again *x, err *e)
{
    run_status s;
    if (!run_status_read(&s, x->folder, e)) return false;
    x->step = s.step;
    x->tokens = s.tokens;
    x->diverged = s.state == RUN_DIVERGED;
    return true;
}

static int make_final(again *x, const volatile sig_atomic_t *stop, err *e)
{
    char id[EVAL_ID_CHARS];
    eval_task task = workload_evaluation(&x->work, NULL, x->plan.threads, stop);
    task.slices = true;
    eval_record_task_id(id, &task, x->plan.run, x->step);
    json_auto_t *protocol = eval_record_protocol(&task);
    search s = {.id = id, .protocol = protocol, .step = x->step, .before = -1};
    if (!run_lines_each(x->evals, find_final, &s, e)) return EXIT_FAILED;
    /* Where training was judged as bad, it is judged again by the evaluation that is asked for. */
    if (x->diverged) x->training = s.training;
    bool judged = false;
    int status = make_missing(x, &s, &task, e);
    if (status == EXIT_DONE) status = judge(&judged, x, s.found, e);
    json_decref(s.found);
    /* Last: a process that ends before it only looks once more, and finds the line. It says which
     * evaluation counts, whatever that says of the run. */
    err unwritten;
    if (judged && !run_record_final(x->folder, &x->plan, &unwritten)) {
        *e = unwritten;
        status = EXIT_FAILED;
    }
    return status;
}

int evaluate_again(const char *folder, run_lease *lease, const run_training *training,
                   const volatile sig_atomic_t *stop, err *e)
{
    arena_auto *a = arena_new(1 << 16);
    again *x = arena_push_zero(a, 1, sizeof *x);
    x->folder = folder;
    x->lease = lease;
    if (training) x->training = *training;
    bool ready = file_join(x->evals, folder, "evals.jsonl", e) &&
                 run_record_plan_read(&x->plan, a, folder, e) &&
                 run_open(&x->work, &x->plan, folder, e);
    int status = ready && read_end(x, e) ? make_final(x, stop, e) : EXIT_FAILED;
    if (x->work.memory) workload_close(&x->work);
    json_decref(x->plan.record);
    return status;
}
