/* Shared by the files experiments/manage*.c only. */
#ifndef LOCI_HARNESS_MANAGE_PARTS_H
#define LOCI_HARNESS_MANAGE_PARTS_H

#include "core/base/file.h"
#include "core/base/json.h"

/* Adds the ids of the runs that an experiment's record names, as keys of an object. */
bool manage_planned_runs(json_t *ids, const char *record, err *e);

/* Names in OUT/<folder>, or none where it is missing. */
bool manage_list(const char *out, const char *folder, arena *a, const char *const **names,
                 int64_t *count, err *e);

#endif
