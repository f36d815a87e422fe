/* What a table holds: shared by table.c (content) and table_print.c (forms). */
#ifndef LOCI_RESULTS_TABLE_CELL_H
#define LOCI_RESULTS_TABLE_CELL_H

#include "results/table/table.h"

enum { TABLE_COLUMNS = 64 };

typedef enum cell_kind { CELL_EMPTY, CELL_TEXT, CELL_INT, CELL_REAL } cell_kind;

typedef struct table_cell {
    cell_kind kind;
    const char *text; /* for people; of a mean, what stands before the sign */
    const char *half; /* of a mean with an interval, what stands behind it */
    int64_t integer;
    double real;
} table_cell;

typedef struct table_head {
    const char *key, *title, *unit;
    int flags;
} table_head;

typedef struct table_line {
    table_cell *cell; /* [columns] */
} table_line;

struct table {
    arena *memory;
    int columns, rows, capacity;
    table_head column[TABLE_COLUMNS];
    table_line *line; /* [rows] */
};

#endif
