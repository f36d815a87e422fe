/* The runs of an experiment with the evaluation that counts, as the database has them. */
#pragma once

#include "results/compare/compare.h"

/* Of their final evaluations; of the last ones on `split`, if it is not NULL. Without figures over
 * seeds. NULL and e if the experiment is unknown or the database cannot be read. */
comparison *compare_read(arena *a, store *s, const char *experiment, const char *split, err *e);
