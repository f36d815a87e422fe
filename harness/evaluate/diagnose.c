#include "harness/evaluate/diagnose.h"

#include "harness/evaluate/cleared.h"
#include "harness/evaluate/recall.h"

bool diagnose_evaluation(evaluation *r, json_t **more, const eval_task *task, bool clear, err *e)
{
    recall *asked;
    json_auto_t *layers = NULL;
    if (!recall_open(&asked, task, e)) return false;
    eval_task watched = *task;
    if (asked) watched.watch = recall_watch(asked);
    bool ok = evaluate(r, &watched, e);
    if (ok && clear && !r->stopped) {
        ok = cleared_measure(&layers, task, e);
        if (!ok) evaluate_deinit(r);
        r->stopped = ok && task->stop && *task->stop;
    }
    *more = ok ? json_object() : NULL;
    if (ok && asked) json_object_set_new(*more, "recall", recall_record(asked));
    if (ok && layers) json_object_set(*more, "layers", layers);
    recall_close(asked);
    return ok;
}
