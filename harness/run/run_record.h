/* What is written beside a run for others to read: the experiment that plans it, its plan, the
 * options of its final evaluation. */
#pragma once

#include "core/base/json.h"
#include "harness/run/experiment.h"

/* Writes OUT/experiments/<name>.json. Of a damaged one a copy stays beside it (set_aside.h). */
bool run_record_experiment(const char *out, const experiment *x, err *e);

/* How the runs of that file, if it is there and can be read, are to these. */
typedef enum run_record_state {
    RUN_RECORD_NONE,
    RUN_RECORD_SAME,
    RUN_RECORD_LESS, /* a part of these */
    RUN_RECORD_MORE, /* these and others */
    RUN_RECORD_OTHER /* each has some that the other has not */
} run_record_state;
run_record_state run_record_look(const char *out, const experiment *x);

/* plan.json, read again. The record is the caller's to decref, after a failure, too, and the rest
 * borrows from it. */
typedef struct planned_run {
    json_t *record;
    const char *run;
    int64_t seed;
    int threads;
    const char *corpus_hash, *source_hash; /* as in run_plan */
    const node *spec;
    corpus_places places;
} planned_run;
bool run_record_plan_read(planned_run *p, arena *a, const char *folder, err *e);

/* The resolved spec that a run was planned with; NULL: not known. */
json_t *run_record_spec(const char *out, const char *id);

/* What a resolved spec (may be NULL) starts from: a run's id, or the path of a checkpoint, whole as
 * far as it was found; NULL: from nothing. Borrowed from the spec. */
const char *run_record_source(const json_t *tree);

/* plan.json. places: where the worker looks for corpora. */
bool run_record_plan_write(const char *folder, const run_plan *p, const corpus_places *places,
                           const char *command, int threads, err *e);

/* What the worker writes with the final evaluation: final.json. */
bool run_record_final(const char *folder, const planned_run *p, err *e);
