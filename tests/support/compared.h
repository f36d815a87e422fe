/* Experiments that were never trained, compared: what the suites about comparisons begin with. */
#pragma once

#include "results/compare/compare.h"
#include "results/table/table.h"
#include "tests/support/fake_results.h"

/* Of test_folder(): variants of the caller's, or the first of five: two that finish, one that
 * diverges, one that fails, one under way. Not written yet. */
fake_experiment compared_of(const fake_variant *list, int variants, int seeds);
fake_experiment compared_fake(int variants, int seeds);

/* Collects and loads one that is written; NULL fails the case. */
comparison *compared_load(arena *a, const fake_experiment *x, const compare_options *o);
/* Writes it first, and compares as is the default. */
comparison *compared_written(arena *a, const fake_experiment *x);

/* In a form; the caller frees the text. */
char *compared_print(const comparison *c, table_format format);
