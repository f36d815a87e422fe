/* The names in a results folder: its experiments, its runs, and which of these an experiment plans.
 */
#ifndef LOCI_HARNESS_MANAGE_NAMES_H
#define LOCI_HARNESS_MANAGE_NAMES_H

#include "core/base/arena.h"
#include "core/base/json.h"

/* Adds the ids of the runs that an experiment's record names, as keys of an object. */
bool manage_names_planned(json_t *ids, const char *record, err *e);

/* Names in OUT/<folder>, or none where it is missing. */
bool manage_names_list(const char *out, const char *folder, arena *a, const char *const **names,
                       int64_t *count, err *e);

#endif
