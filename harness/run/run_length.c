#include "harness/run/run_length.h"

#include <math.h>

#include "core/base/file.h"
#include "core/base/json.h"

static bool calibrated_steps(int64_t *steps, workload *w, const char *folder, int threads, err *e)
{
    char path[FILE_PATH_BYTES];
    if (!file_join(path, folder, "length.json", e)) return false;
    double seconds = w->train.budget.amount, step_seconds;
    if (file_exists(path)) {
        json_auto_t *o = json_read(path, e);
        if (!o) return false;
        *steps = json_get_int(o, "steps", 0);
        return *steps >= 1 || err_set(e, "%s: no steps; remove the file", path);
    }
    if (!trainer_calibrate(w, threads, fmin(seconds / 10, 10), &step_seconds, e)) return false;
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
