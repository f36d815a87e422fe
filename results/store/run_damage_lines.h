/* What the lines of a run have to say, and what they do (run_damage.h). */
#pragma once

#include "core/base/json.h"

/* What a file of lines says as far as it matters here. `on_the_way`: before the end. */
typedef struct run_damage_lines {
    int64_t last_step, last_on_the_way;
    bool final;
    int64_t final_step;
    bool whole; /* every line is an object, and the last one has its end */
} run_damage_lines;
#define RUN_DAMAGE_NO_LINES ((run_damage_lines){.last_step = -1, .last_on_the_way = -1})
/* Which evaluations on the way to `end`, the run's last step, are its own: at the steps at which
 * one was due; up to `from`, where the process began, any may be. Others somebody asked for of a
 * checkpoint (loci eval), and they stand for none that is lost. record: as below. */
typedef struct run_damage_own {
    int64_t end, every, from;
} run_damage_own;
run_damage_own run_damage_own_evals(const json_t *record, int64_t end);
bool run_damage_own_step(const run_damage_own *own, int64_t step);
void run_damage_count(run_damage_lines *l, const json_t *line, const run_damage_own *own);

/* Up to which steps metrics.jsonl and evals.jsonl have to reach at a checkpoint at step `saved`: as
 * often as `record` (run.json; the plan has the same) says that was logged and evaluated since the
 * process began, and no less than it found then (`resumed`). NULL: nothing is known. */
typedef struct run_damage_due {
    int64_t metrics, evals;
} run_damage_due;
run_damage_due run_damage_lines_due(const json_t *record, int64_t saved);
