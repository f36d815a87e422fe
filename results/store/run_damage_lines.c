#include "results/store/run_damage_lines.h"

run_damage_own run_damage_own_evals(const json_t *record, int64_t end)
{
    const json_t *train = json_object_get(json_object_get(record, "spec"), "train");
    return (run_damage_own){end, json_get_int(train, "eval_every", 0),
                            json_get_int(json_object_get(record, "resumed"), "step", 0)};
}

bool run_damage_own_step(const run_damage_own *own, int64_t step)
{
    return step <= own->from || (own->every > 0 && step % own->every == 0);
}

/* What training repeats after a checkpoint lies behind the end or at a step that was counted. */
void run_damage_count(run_damage_lines *l, const json_t *line, const run_damage_own *own)
{
    int64_t step = json_get_int(line, "step", -1);
    l->last_step = step;
    if (json_is_true(json_object_get(line, "final"))) {
        l->final = true;
        l->final_step = step;
    } else if (step > l->last_on_the_way && step < own->end && run_damage_own_step(own, step)) {
        l->last_on_the_way = step;
    }
}

/* The last multiple of `every` up to a step that was made since the process began at `from`; else
 * what stood there then. */
static int64_t last_due(int64_t step, int64_t every, int64_t from, int64_t stood)
{
    int64_t due = every > 0 && step > 0 ? step - step % every : 0;
    return due > from ? due : MIN(stood, step);
}

run_damage_due run_damage_lines_due(const json_t *record, int64_t saved)
{
    const json_t *train = json_object_get(json_object_get(record, "spec"), "train");
    const json_t *resumed = json_object_get(record, "resumed");
    int64_t from = json_get_int(resumed, "step", 0);
    /* An evaluation at the checkpoint's own step may have been stopped. */
    return (run_damage_due){last_due(saved, json_get_int(train, "log_every", 0), from,
                                     json_get_int(resumed, "metrics", 0)),
                            last_due(saved - 1, json_get_int(train, "eval_every", 0), from,
                                     json_get_int(resumed, "evals", 0))};
}
