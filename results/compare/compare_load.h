/* A comparison from the database, whole: rows, figures over seeds, differences. */
#ifndef LOCI_RESULTS_COMPARE_LOAD_H
#define LOCI_RESULTS_COMPARE_LOAD_H

#include "results/compare/compare.h"

/* Lives as long as the arena. NULL and e on failure. */
comparison *compare_load(arena *a, store *s, const char *experiment, const compare_options *o,
                         err *e);

#endif
