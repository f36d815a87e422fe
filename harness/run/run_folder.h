/* The folder of a run: who writes what, and how it is read while a run is going on.
 *
 *   lock            held (flock) by the worker as long as it lives
 *   plan.json       what to train: written by the supervisor, read by the worker
 *   run.json        the plan and where it was trained: written by the worker at its start
 *   status.json     replaced atomically about once a second
 *   metrics.jsonl   a line per logged step     evals.jsonl   a line per evaluation
 *   final.json      the options of the final evaluation, once it is made
 *   losses-ID.f32   the loss of every token of a final evaluation (losses_file.h)
 *   length.json     how many steps a budget in seconds became
 *   checkpoint/     see checkpoint.h; checkpoint-STEP/, checkpoint-best/: models that are kept
 *   log.txt         the worker's stderr
 *   inspect/        written by `loci inspect`   speed.json    by `loci bench --record`
 *
 * Root: OUT/runs/<run id>/ beside OUT/experiments/<name>.json, which says which runs an experiment
 * consists of. */
#ifndef LOCI_HARNESS_RUN_FOLDER_H
#define LOCI_HARNESS_RUN_FOLDER_H

#include "core/base/file.h"
#include "core/base/json.h"
#include "harness/run/experiment.h"

typedef enum run_state {
    RUN_PLANNED,
    RUN_RUNNING,
    RUN_DONE,
    RUN_FAILED,
    RUN_DIVERGED,
    RUN_INTERRUPTED,
    RUN_STATES
} run_state;

const char *run_status_state_name(run_state s); /* "planned", "running", ... */

/* Why a run did not end well. */
typedef enum run_kind {
    KIND_NONE,
    KIND_SPEC,     /* it could not be started: spec, data, a damaged checkpoint */
    KIND_SOURCE,   /* the run that it starts from failed */
    KIND_DIVERGED, /* a number was none any more */
    KIND_MEMORY,   /* the machine had no more memory for it */
    KIND_SIGNAL,   /* its process was killed, or crashed */
    KIND_TIMEOUT,  /* it took longer than it may */
    KIND_OTHER,    /* while it was trained: the disk, a file that went away */
    RUN_KINDS
} run_kind;

const char *run_status_kind_name(run_kind k); /* "", "spec", ... "out of memory", ... */

typedef struct run_status {
    run_state state;
    run_kind kind;
    char reason[ERR_TEXT_BYTES]; /* "" if none */
    int64_t pid;
    double started_at, ended_at; /* wall clock, 0: not yet */
    int64_t step, steps, tokens;
    double train_seconds, tokens_per_second;
    double loss; /* nats per token, of the last logged steps; NaN: none */
    int64_t peak_rss_bytes, peak_anon_bytes;
} run_status;

/* OUT/runs/<id> into path [FILE_PATH_BYTES]. */
bool run_folder_path(char *path, const char *out, const char *id, err *e);

/* A missing file is RUN_PLANNED. A run that says `running` while nobody holds its lock is
 * RUN_INTERRUPTED (it was killed). */
bool run_status_read(run_status *s, const char *folder, err *e);
/* durable: synced to the disk; otherwise only replaced atomically. Takes no memory. */
bool run_status_write(const run_status *s, const char *folder, bool durable, err *e);

/* Takes the folder's lock; the descriptor, RUN_FOLDER_BUSY if another process has it, or -1. */
enum { RUN_FOLDER_BUSY = -2 };
int run_folder_lock(const char *folder, err *e);
bool run_folder_locked(const char *folder);

/* Keeps the lines of a .jsonl file for which keep() is true and drops a last line that is not
 * complete; atomic. A missing file is fine. */
typedef bool (*line_keep)(void *user, const json_t *line);
bool run_lines_filter(const char *path, line_keep keep, void *user, err *e);
/* Appends one line as a single write. sync: to the disk. */
bool run_lines_append(const char *path, const char *line, size_t bytes, bool sync, err *e);
bool run_lines_append_record(const char *path, const json_t *record, err *e);

/* Writes OUT/experiments/<name>.json. */
bool run_record_experiment(const char *out, const experiment *x, err *e);

/* plan.json, read again. The record is the caller's to decref, and the rest borrows from it. */
typedef struct planned_run {
    json_t *record;
    const char *run;
    int64_t seed;
    int threads;
    const node *spec;
    corpus_places places;
} planned_run;
bool run_record_plan_read(planned_run *p, arena *a, const char *folder, err *e);

/* plan.json. places: where the worker looks for corpora. */
bool run_record_plan_write(const char *folder, const run_plan *p, const corpus_places *places,
                           const char *command, int threads, err *e);

#endif
