/* The folder of a run: who writes what, and how it is read while a run is going on.
 *
 *   lock            held (flock) by the worker as long as it lives; names it (run_lease.h)
 *   plan.json       what to train: written by the supervisor, read by the worker
 *   run.json        the plan and where it was trained: written by the worker at its start
 *   status.json     replaced atomically about once a second
 *   metrics.jsonl   a line per logged step     evals.jsonl   a line per evaluation
 *   final.json      the options of the final evaluation, once it is made
 *   losses-ID.f32   the loss of every token of a final evaluation (losses_file.h)
 *   part-ID.*       an evaluation that was interrupted (eval_keep.h), until its line stands
 *   length.json     how many steps a budget in seconds became
 *   checkpoint/     see checkpoint.h; checkpoint-STEP/, checkpoint-best/: models that are kept
 *   before-N/, NAME.damaged   what is kept of damage (set_aside.h)
 *   log.txt         the worker's stderr
 *   notes.jsonl     notes and tags (notes.h), by `loci note`
 *   inspect/        written by `loci inspect`   speed.json    by `loci bench --record`
 *
 * Root: OUT/runs/<run id>/ beside OUT/experiments/<name>.json, which says which runs an experiment
 * consists of. */
#pragma once

#include "core/base/file.h"

/* OUT/runs/<id> into path [FILE_PATH_BYTES]. An id that is a path, and links in the place of these
 * folders, are refused. */
bool run_folder_path(char *path, const char *out, const char *id, err *e);
/* OUT/experiments/<name>.json, likewise. */
bool run_folder_record(char *path, const char *out, const char *name, err *e);

/* Takes the folder's lock; the descriptor, RUN_FOLDER_BUSY if another process has it, or -1. A
 * folder with links in it is refused: whoever has the lock writes there. */
enum { RUN_FOLDER_BUSY = -2 };
int run_folder_lock(const char *folder, err *e);
bool run_folder_locked(const char *folder);

/* Removes the folder with all that is in it, under its lock; nothing if that is another's: *busy.
 */
bool run_folder_remove(const char *folder, bool *busy, err *e);
/* Removes what is in it, except for some names (NULL-terminated); the lock is the caller's. */
bool run_folder_clear(const char *folder, const char *const *but, err *e);
/* Removes what killed processes were writing (file_temporary), once the caller has the lock and has
 * written the status. What another machine wrote within the last minute stays. */
bool run_folder_tidy(const char *folder, err *e);
