/* A comparison from the database, whole: rows, figures over seeds, differences. */
#pragma once

#include "results/compare/compare.h"

/* Lives as long as the arena. NULL and e on failure. */
comparison *compare_load(arena *a, store *s, const char *experiment, const compare_options *o,
                         err *e);
