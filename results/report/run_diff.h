/* Two runs, option by option. */
#pragma once

#include "results/store/store.h"
#include "results/table/table.h"

/* The options in which two runs differ, a row each; with `made` also what of their making does
 * (revision, processor, compiler ...). heads: what the two columns are called. */
bool run_diff(table *t, store *s, const char *a, const char *b, const char *const heads[2],
              bool made, err *e);
