/* The names in a results folder: its experiments, its runs, and which of these an experiment plans.
 */
#pragma once

#include "core/base/arena.h"
#include "core/base/json.h"

/* Adds the ids of the runs that an experiment's record names, as keys of an object. */
bool manage_names_planned(json_t *ids, const char *record, err *e);

/* Where the record FILE (NAME.json) of an experiment lies, into path [FILE_PATH_BYTES]. */
bool manage_names_record(char *path, const char *out, const char *file, err *e);

/* The experiments' files (NAME.json), and the runs' folders; none where OUT has none. What else
 * lies there (.DS_Store, ._NAME.json, folders of somebody's) is neither. */
bool manage_names_experiments(const char *out, arena *a, const char *const **names, int64_t *count,
                              err *e);
bool manage_names_runs(const char *out, arena *a, const char *const **names, int64_t *count,
                       err *e);
