/* Other views of comparisons: parts of them, in another order, as a table of two axes. */
#pragma once

#include "results/compare/compare.h"
#include "results/table/table.h"

/* Keeps the variants whose axis says so, "lr=1e-3" (AXIS by name or the end of it; values by their
 * text, numbers by what they are), and the baseline. False and e if there is no such axis, or
 * nothing is left. Before figures over seeds are taken: what is compared is one family of tests. */
bool compare_view_where(comparison *c, arena *a, store *s, const char *where, err *e);

/* Orders the variants: the least first. */
#define COMPARE_SORTS                                                                              \
    "plan|variant|bits_per_byte|word_perplexity|perplexity|difference|params|active_params|"       \
    "flops|tokens_per_second|memory|state"
void compare_view_sort(comparison *c, arena *a, int by);

/* A row for each value of one axis, a column for each of the other, the mean with its interval in
 * each cell, the best of all marked. Where several variants are in a cell, the best. One that lost
 * runs says of how many its mean is, and is the best of none that did not. *marked: one is. NULL
 * and e. */
table *compare_view_pivot(bool *marked, arena *a, store *s, const comparison *c, const char *rows,
                          const char *columns, err *e);
