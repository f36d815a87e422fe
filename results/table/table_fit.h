/* Which columns of a table a terminal has room for, and how wide each of them is. */
#pragma once

#include "results/table/table.h"

/* Between a mean and its interval, and between two columns. */
enum { TABLE_SIGN_CELLS = 3, TABLE_GAP_CELLS = 2 };

/* Widths of a column: of its means before the sign, behind it, and of the whole. Of a title or a
 * unit that is wider than all cells only `whole` knows. */
typedef struct table_width {
    int before, behind, whole;
    int least; /* what it can be cut to */
    bool out;  /* there is no room for it, or it is for programs */
} table_width;

/* What people see of a cell: a dash for an empty one, since a hole in a line makes the eye slip to
 * the next one. */
const char *table_shown(const table_cell *x);

/* w [columns of t]: within `columns` cells. The first column is never left out, as it says what a
 * row is about, and is cut no further than its texts can be told apart, unless nothing of what the
 * table is read for had room then; then those that the table is read for have their room
 * (TABLE_KEPT, then TABLE_NEXT), then the others, then spare ones, at last those without any
 * content, from the left. Texts are cut where that makes room for a column that is not spare; those
 * that are whole (TABLE_WHOLE) are broken instead, into as few lines as what the table is read for
 * leaves room for. */
void table_fit(table_width *w, const table *t, int columns);
/* Are its texts broken where there is no room for them? */
bool table_is_broken(const table *t, int column);
/* Lines that all rows take on a terminal, without titles; and a row, by those widths. */
int table_lines(const table *t, int columns);
int table_row_lines(const table_width *w, const table *t, int row);
