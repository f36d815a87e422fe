/* A reader of CSV (RFC 4180): fields separated by commas, quoted with " where needed ("" is a
 * quote), lines ended by \n or \r\n; a quoted field may hold commas, quotes and line ends. Works on
 * hostile input: any bytes give rows or an error with its line. */
#pragma once

#include "core/base/base.h"

enum { CSV_MAX_FIELDS = 64 };

typedef struct csv {
    char *at, *end;
    const char *file; /* for messages */
    int64_t line;     /* of the row returned last, from 1 */
    int64_t next_line;
    int count;                     /* fields of the row */
    char *field[CSV_MAX_FIELDS];   /* NUL-terminated, inside the text */
    int64_t bytes[CSV_MAX_FIELDS]; /* their lengths: a field may hold NULs */
} csv;

/* Borrows text [bytes + 1], which must end with a NUL and is overwritten while it is read. */
void csv_init(csv *c, char *text, int64_t bytes, const char *file);

/* The next row that is not an empty line. False at the end (e->text is empty) or at an error. */
bool csv_next(csv *c, err *e);
