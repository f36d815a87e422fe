/* A mean over seeds in a table: people see it with its interval in one cell, programs each number
 * in a column of its own (NAME, NAME_low, NAME_high, NAME_n, NAME_lost). */
#pragma once

#include "results/compare/compare.h"
#include "results/table/table.h"

enum { COMPARE_CELL_COLUMNS = 5 };
typedef struct compare_cell {
    int shown, low, high, n, lost;
} compare_cell;

compare_cell compare_cell_head(table *t, arena *a, const char *name, const char *unit, int flags);

/* Into the last row. plus: with its sign. */
void compare_cell_put(table *t, const compare_cell *k, estimate x, int digits, bool plus);

/* What a variant reaches. One that lost runs says of how many its mean is ("(2 of 4) 4.1056"): of
 * the seeds that came through it is another figure. mark: before the number, "" for none. */
void compare_cell_variant(table *t, const compare_cell *k, const compared_variant *v,
                          compare_metric m, int digits, const char *mark);
