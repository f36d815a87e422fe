/* Rows that wait for their table. One statement puts all of them: to begin one, to bind its values
 * and to look for the row's place from the root of the tree costs SQLite more than to put a row
 * where the last one went.
 *
 * The statement reads them from a virtual table (sqlite.org/vtab.html), called "pending_" and the
 * table's name, whose columns are c0, c1 ... */
#pragma once

#include "results/store/store.h"

typedef struct pending_cell {
    enum { PENDING_NULL, PENDING_INT, PENDING_REAL, PENDING_TEXT } kind;
    int bytes; /* of the text */
    union {
        int64_t integer;
        double real;
        const char *text;
    };
} pending_cell;

typedef struct pending {
    int columns, rows;
    const pending_cell *from; /* [rows * columns] what the virtual table shows */
    pending_cell *cells;      /* [PENDING_ROWS * columns] */
    char *texts;              /* those of the cells */
    size_t used;
} pending;

enum { PENDING_ROWS = 1024, PENDING_BYTES = 1 << 16 };

/* Its memory is of the arena; the virtual table is there until pending_end. */
bool pending_begin(pending *p, arena *a, const char *table, int columns, store *db, err *e);
void pending_end(const char *table, store *db);

/* Keeps row [columns] and its texts. False: there is no room. */
bool pending_keep(pending *p, const pending_cell *row);
/* Shows this row alone, where it lies, without keeping it; nothing may wait. */
void pending_show(pending *p, const pending_cell *row);
/* Nothing waits. */
void pending_clear(pending *p);
