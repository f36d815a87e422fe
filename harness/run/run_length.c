#include "harness/run/run_length.h"

#include <math.h>

#include "core/base/file.h"
#include "core/base/json.h"

/* A budget in seconds would make a run depend on how busy the machine was, and an interrupted run
 * differ from one that was not. So seconds become steps once, before the first step, and
 * length.json says how many: a run that goes on, on whatever machine, has that length, and its
 * schedule the same shape. Two runs of the same spec may still have different lengths; that is what
 * such a budget means.
 *
 * length.json is written before anything is trained. Killed before it stands, the next worker
 * measures again: no step has been made yet. */

/* What the record of the run says that its length became; 0: nothing. */
static int64_t recorded_steps(const char *folder)
{
    char path[FILE_PATH_BYTES];
    if (!file_join(path, folder, "run.json", NULL) || !file_exists(path)) return 0;
    json_auto_t *o = json_read(path, NULL);
    return json_get_int(o, "steps_budget", 0);
}

static bool calibrated_steps(int64_t *steps, workload *w, const char *folder, int threads, err *e)
{
    char path[FILE_PATH_BYTES];
    if (!file_join(path, folder, "length.json", e)) return false;
    double seconds = w->train.budget.amount, step_seconds;
    if (file_exists(path)) {
        json_auto_t *o = json_read(path, e);
        /* Not measured anew where the file is damaged: checkpoints of the other length may be
         * there. */
        *steps = o ? json_get_int(o, "steps", 0) : recorded_steps(folder);
        return *steps >= 1 || (o ? err_set(e, "%s: no steps; remove the file", path) : false);
    }
    if (!trainer_calibrate(w, threads, fmin(seconds / 10, 10), &step_seconds, e)) return false;
    /* At least one step, and no more than a double counts exactly; a clock that says 0 makes
     * infinity here. */
    *steps = (int64_t)fmin(fmax(1, round(seconds / step_seconds)), 4e15);
    json_auto_t *o = json_pack("{s:o, s:o, s:I}", "seconds", json_finite(seconds), "step_seconds",
                               json_finite(step_seconds), "steps", (json_int_t)(*steps));
    return json_write(path, o, e);
}

bool run_length_find(train_length *length, workload *w, const char *folder, int threads, err *e)
{
    if (w->train.budget.kind == BUDGET_SECONDS) {
        *length = (train_length){0};
        return calibrated_steps(&length->steps, w, folder, threads, e);
    }
    *length = train_options_length(&w->train.budget, &w->shape, model_costs(w->model).train_flops);
    return true;
}
