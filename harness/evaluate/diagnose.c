#include "harness/evaluate/diagnose.h"

#include "harness/evaluate/cleared.h"
#include "harness/evaluate/recall.h"

/* The plain evaluation comes first and alone decides whether there is a record. What is told beside
 * it is measured afterwards. A stop in between leaves a record that is not whole: r->stopped, and
 * the evaluation is asked for again; where its sums were kept it is read to its end already
 * (eval_keep.h). */

/* False only where drawing failed. A corpus that has no text, or cannot read the prompt, gets no
 * sample and is no mistake here: the spec was refused before anything ran if the run's own corpus
 * is one (train/workload.c). */
static bool draw_sample(json_t **sample, evaluation *r, const eval_task *task, err *e)
{
    const sample_options *o = &task->options->sample;
    if (r->stopped || !o->at || !sample_check(o, task->corpus, NULL)) return true;
    *sample = sample_draw(o, task->model, task->values, task->corpus, task->seed, task->stop, e);
    r->stopped = task->stop && *task->stop;
    return *sample || r->stopped;
}

bool diagnose_evaluation(evaluation *r, json_t **more, const eval_task *task, bool clear, err *e)
{
    recall *asked;
    json_auto_t *layers = NULL, *sample = NULL;
    if (!recall_open(&asked, task, e)) return false;
    /* Only the evaluation itself is watched: what is cleared, or sampled, afterwards is not what
     * was asked. */
    eval_task watched = *task;
    if (asked) watched.watch = recall_watch(asked);
    bool ok = evaluate(r, &watched, e);
    if (ok && clear && !r->stopped) {
        ok = cleared_measure(&layers, task, e);
        r->stopped = ok && task->stop && *task->stop;
        ok = ok && draw_sample(&sample, r, task, e);
        if (!ok) evaluate_deinit(r);
    }
    *more = ok ? json_object() : NULL;
    if (ok && asked) json_object_set_new(*more, "recall", recall_record(asked));
    if (ok && layers) cleared_note(*more, layers, task->options);
    if (ok && sample) json_object_set(*more, "sample", sample);
    recall_close(asked);
    return ok;
}
