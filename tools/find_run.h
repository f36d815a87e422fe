/* Finds a run by what a person would call it. */
#pragma once

#include "core/base/file.h"

/* name: a run's folder (or its checkpoint folder); a run's id or the unique beginning of one; or
 * EXPERIMENT[/LABEL[/SEED]], the first run of that experiment (variant, seed) in planned order that
 * has a checkpoint; stderr is told where it is one of several. Any of them may end with @best or
 * @STEP: the model that training kept then (train.keep_best, train.keep_every). Puts the folder
 * into path. */
bool find_run(char path[FILE_PATH_BYTES], const char *name, const char *out, err *e);

/* Every run that the name fits and that has a checkpoint: of EXPERIMENT all of them, of
 * EXPERIMENT/LABEL all seeds; of any other name the one. In planned order, in the arena. */
typedef struct found_run {
    const char *folder, *run; /* run: its id, NULL where the name was not an experiment's */
    const char *label;        /* likewise */
    int64_t seed;
} found_run;
bool find_runs(found_run **list, int *count, arena *a, const char *name, const char *out, err *e);
