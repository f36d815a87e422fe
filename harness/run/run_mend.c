#include "harness/run/run_mend.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/base/file.h"
#include "harness/evaluate/eval_keep.h"
#include "harness/run/evaluate_again.h"
#include "harness/run/exit_status.h"
#include "harness/run/run_lines.h"
#include "harness/run/run_open.h"
#include "harness/run/run_record.h"
#include "harness/run/run_status.h"
#include "harness/run/run_verdict.h"
#include "harness/run/set_aside.h"
#include "harness/train/checkpoint.h"
#include "harness/train/checkpoint_files.h"
#include "harness/train/provenance.h"
#include "results/store/run_damage.h"

/* The order: the status says `done` before the rest is whole, for what else is damaged is found
 * beside it, while without it nobody would know that the run had ended but by its lines. The final
 * evaluation comes last, as it may take hours. */

typedef struct mend {
    const char *folder;
    run_lease *lease;
    planned_run plan;
    workload work;
    json_t *final;         /* the last line that says so, NULL: none */
    int finals;            /* how many there are */
    json_t *first, *last;  /* of metrics.jsonl; NULL: it has none */
    train_progress logged; /* what its lines say of training */
    train_progress end;    /* where the run ended: step and tokens */
    run_training training;
    bool diverged; /* there it was worth nothing */
} mend;

static bool is_whole(const mend *m, const char *name, const char *key)
{
    char path[FILE_PATH_BYTES];
    if (!file_join(path, m->folder, name, NULL) || !file_exists(path)) return false;
    json_auto_t *o = json_read(path, NULL);
    return json_object_get(o, key) != NULL;
}

static bool is_damaged(const mend *m, const char *name, const char *key)
{
    char path[FILE_PATH_BYTES];
    return file_join(path, m->folder, name, NULL) && file_exists(path) && !is_whole(m, name, key);
}

static bool remove_file(const mend *m, const char *name, err *e)
{
    char path[FILE_PATH_BYTES];
    return run_lease_holds(m->lease, e) && file_join(path, m->folder, name, e) &&
           file_remove(path, e);
}

/* ---- what is known ---- */

static bool note_metrics(void *user, const json_t *line)
{
    mend *m = user;
    int64_t step = json_get_int(line, "step", 0);
    double loss = json_get_double(line, "loss");
    if (!m->first) m->first = json_incref((json_t *)(uintptr_t)line);
    json_decref(m->last);
    m->last = json_incref((json_t *)(uintptr_t)line);
    /* Steps without targets have no loss. */
    if (step > m->logged.step && isfinite(loss)) train_progress_logged(&m->logged, step, loss);
    return true;
}

static bool note_final(void *user, const json_t *line)
{
    mend *m = user;
    if (!json_is_true(json_object_get(line, "final"))) return true;
    m->finals++;
    json_decref(m->final);
    m->final = json_incref((json_t *)(uintptr_t)line);
    return true;
}

/* Where there is no evaluation the model says how far it was trained. */
static bool find_end(mend *m, err *e)
{
    char path[FILE_PATH_BYTES];
    if (m->final) {
        m->end.step = json_get_int(m->final, "step", 0);
        m->end.tokens = json_get_int(m->final, "tokens_seen", 0);
        return true;
    }
    safetensors *s = file_join(path, m->folder, "checkpoint", e)
                         ? checkpoint_files_open(path, "model", e)
                         : NULL;
    if (!s) return false;
    m->end.step = checkpoint_files_number(s, "step");
    m->end.tokens = checkpoint_files_number(s, "tokens");
    safetensors_close(s);
    return true;
}

/* Of the curve: nearly the same. Without its ends there is nothing to compare. */
static run_training training_logged(const mend *m)
{
    bool ends = json_get_int(m->first, "step", -1) == 1 && m->logged.step == m->end.step;
    return ends ? run_verdict_training(&m->logged) : (run_training){0};
}

/* What the worker has judged stands in its line. Lines behind that one are of other options, and
 * were judged without; one alone that does not say it is of an earlier version. There, and where
 * none is left, the training state has the same figures, or the curve similar ones. */
static void find_training(mend *m)
{
    char path[FILE_PATH_BYTES];
    train_progress p = {0};
    m->training = run_verdict_noted(m->final);
    if (json_object_get(m->final, "training") || m->finals > 1) return;
    bool state = file_join(path, m->folder, "checkpoint", NULL) && checkpoint_files_exist(path) &&
                 checkpoint_progress(&p, path, NULL) && p.step == m->end.step;
    m->training = state ? run_verdict_training(&p) : training_logged(m);
}

static bool find_out(mend *m, arena *a, err *e)
{
    char metrics[FILE_PATH_BYTES], evals[FILE_PATH_BYTES];
    return file_join(metrics, m->folder, "metrics.jsonl", e) &&
           file_join(evals, m->folder, "evals.jsonl", e) &&
           run_record_plan_read(&m->plan, a, m->folder, e) &&
           run_open(&m->work, &m->plan, m->folder, e) &&
           run_lines_look(metrics, note_metrics, m, e) && run_lines_look(evals, note_final, m, e) &&
           find_end(m, e) && (find_training(m), true);
}

/* ---- run.json ---- */

/* Of a budget in seconds nobody asks how many steps it became: so many were made. */
static train_length length_of(const mend *m)
{
    const workload *w = &m->work;
    if (w->train.budget.kind == BUDGET_SECONDS) return (train_length){.steps = m->end.step};
    return train_options_length(&w->train.budget, &w->shape, model_costs(w->model).train_flops);
}

/* A record of which a byte was changed, or that a person did, still says them where, when and by
 * which build: what no other file does. Killed behind it, there will be two such copies. */
static bool keep_damaged(const mend *m, const char *name, err *e)
{
    char path[FILE_PATH_BYTES];
    if (!run_lease_holds(m->lease, e) || !file_join(path, m->folder, name, e)) return false;
    return !file_exists(path) || set_aside_copy(path, e);
}

static bool mend_provenance(const mend *m, err *e)
{
    char path[FILE_PATH_BYTES];
    if (is_whole(m, "run.json", "run")) return true;
    if (!keep_damaged(m, "run.json", e)) return false;
    json_auto_t *o = provenance_remade(m->plan.record, &m->work, length_of(m));
    bool ok = run_lease_holds(m->lease, e) && file_join(path, m->folder, "run.json", e) &&
              json_write(path, o, e);
    if (ok) file_failpoint("mended");
    return ok;
}

/* ---- status.json ---- */

/* Where the evaluation is lost it is asked once that is made. */
static bool had_blown_up(const mend *m, err *e)
{
    return m->final &&
           run_verdict_blown_up(&m->work, &m->end, m->training, run_verdict_evaluated(m->final), e);
}

/* Is the last line that of the evaluation that the plan asks for? */
static bool answers_plan(const mend *m)
{
    char id[EVAL_ID_CHARS];
    eval_task task = workload_evaluation(&m->work, NULL, m->plan.threads, NULL);
    eval_record_task_id(id, &task, m->plan.run, m->end.step);
    const char *there = json_get_text(m->final, "eval");
    return there && strcmp(there, id) == 0;
}

/* A run that was killed behind its last line has no word of what was asked for, and may have kept
 * the evaluation's parts. An empty final.json is a damaged one, by which this is found to be done
 * until it is, whatever the status says by then. One that had blown up is not evaluated here: there
 * the word is written, or none is left, as a damaged one is in the way of whoever reads the run. */
static bool ask_again(const mend *m, err *e)
{
    char path[FILE_PATH_BYTES];
    if (!run_lease_holds(m->lease, e) || !file_join(path, m->folder, "final.json", e)) return false;
    if (m->final && !eval_keep_clear(m->folder, e)) return false;
    if (!m->diverged) return file_exists(path) || file_write(path, "", 0, e);
    if (is_whole(m, "final.json", "eval")) return true;
    return answers_plan(m) ? run_record_final(m->folder, &m->plan, e) : file_remove(path, e);
}

static bool mend_status(mend *m, err *e)
{
    err why;
    if (is_whole(m, "status.json", "status")) return true;
    m->diverged = had_blown_up(m, &why);
    if (!keep_damaged(m, "status.json", e) || !ask_again(m, e)) return false;
    /* Seconds and loss of an earlier line are not those of the end. */
    const json_t *end = json_get_int(m->last, "step", -1) == m->end.step ? m->last : NULL;
    run_status s = {.state = RUN_DONE,
                    .step = m->end.step,
                    .steps = m->end.step,
                    .tokens = m->end.tokens,
                    .train_seconds = json_get_double(end, "seconds"),
                    .tokens_per_second = json_get_double(end, "tokens_per_second"),
                    .loss = json_get_double(end, "loss")};
    if (m->diverged) {
        s.state = RUN_DIVERGED;
        s.kind = KIND_DIVERGED;
        memcpy(s.reason, why.text, sizeof s.reason);
    }
    bool ok = run_lease_holds(m->lease, e) && run_status_write(&s, m->folder, true, e);
    if (ok) file_failpoint("mended");
    if (ok && m->diverged) *e = why;
    return ok;
}

/* ---- the final evaluation ---- */

static bool keep_all(void *user, const json_t *line)
{
    (void)user;
    return line != NULL;
}

static bool has_model(const mend *m)
{
    char path[FILE_PATH_BYTES], file[FILE_PATH_BYTES];
    return file_join(path, m->folder, "checkpoint", NULL) && checkpoint_files_exist(path) &&
           checkpoint_files_path(file, path, "model", NULL) && file_exists(file);
}

/* What is damaged behind the last line that is whole makes room for the new one. Without a model
 * the evaluation that is there is the final one, whatever it was asked for. */
static int mend_evaluation(const mend *m, const volatile sig_atomic_t *stop, err *e)
{
    char why[ERR_TEXT_BYTES], evals[FILE_PATH_BYTES];
    bool asked = !is_damaged(m, "final.json", "eval");
    if (asked && run_damage_find(why, m->folder) != DAMAGE_END) return EXIT_DONE;
    if (!has_model(m)) return remove_file(m, "final.json", e) ? EXIT_DONE : EXIT_FAILED;
    if (!run_lease_holds(m->lease, e)) return EXIT_BUSY;
    bool ok = file_join(evals, m->folder, "evals.jsonl", e) &&
              run_lines_filter(evals, keep_all, NULL, NULL, e);
    file_failpoint("mended");
    const run_training *judge = m->final ? NULL : &m->training;
    return ok ? evaluate_again(m->folder, m->lease, judge, stop, e) : EXIT_FAILED;
}

/* Of a run that had blown up, and whose status was whole. */
static bool stays_diverged(const mend *m, err *e)
{
    run_status s;
    if (!run_status_read(&s, m->folder, NULL) || s.state != RUN_DIVERGED) return false;
    err_set(e, "%s", s.reason);
    return true;
}

int run_mend(const char *folder, run_lease *lease, const volatile sig_atomic_t *stop,
             const char *why, err *e)
{
    arena_auto *a = arena_new(1 << 16);
    mend m = {.folder = folder, .lease = lease};
    err lost;
    fprintf(stderr, "%s: it was trained to its end; that is written anew\n", why);
    bool ok = find_out(&m, a, e) && mend_provenance(&m, e) && mend_status(&m, e);
    if (ok && is_damaged(&m, "speed.json", "alone_tokens_per_second")) {
        ok = remove_file(&m, "speed.json", e);
    }
    if (m.work.memory) workload_close(&m.work);
    int status = EXIT_FAILED;
    if (ok && !m.diverged) status = mend_evaluation(&m, stop, e);
    if (status == EXIT_DONE && stays_diverged(&m, e)) status = EXIT_FAILED;
    if (!ok && !run_lease_holds(lease, &lost)) status = EXIT_BUSY;
    json_decref(m.plan.record);
    json_decref(m.final);
    json_decref(m.first);
    json_decref(m.last);
    return status;
}
