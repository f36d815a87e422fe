/* Variants at equal amounts of training: their evaluations on the way there. */
#pragma once

#include "results/compare/compare.h"

/* "tokens=2M", "flops=1e15", "seconds=600", "tokens" (the least that a finished run got), into o.
 */
bool compare_at_read(compare_options *o, const char *text, err *e);

/* Puts what each run had at o->at's amount in the place of its final result; a run without
 * evaluations around it loses its result. */
bool compare_at(comparison *c, arena *a, store *s, const compare_options *o, err *e);
