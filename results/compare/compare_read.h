/* The runs of an experiment with the evaluation that counts, as the database has them. */
#pragma once

#include "results/compare/evaluation_choice.h"

/* Of their final evaluations, or of those on `split` that were done as these, if it is not NULL.
 * Without figures over seeds. NULL and e if the experiment is unknown or the database cannot be
 * read. */
comparison *compare_read(arena *a, store *s, const char *experiment, const char *split, err *e);
/* The same of another protocol: the one that is asked for, or the best that there is. NULL and e,
 * too, if what is asked for is not there. */
comparison *compare_read_as(arena *a, store *s, const evaluation_request *r, err *e);
