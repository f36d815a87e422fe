/* A table of what a query answers: a column of the table for each column of the query that is
 * wanted. NULL is an empty cell. */
#pragma once

#include "results/store/query.h"
#include "results/table/table.h"

typedef enum table_form { FORM_TEXT, FORM_INT, FORM_REAL, FORM_SCALED } table_form;

/* Texts stand to the left, numbers to the right. */
typedef struct table_field {
    const char *key; /* of the table's column, and of the query's */
    const char *title, *unit;
    table_form form;
    int decimals; /* FORM_REAL */
    int flags;    /* TABLE_SPARE, or 0 */
} table_field;

/* Adds columns and rows; closes the query, and fails as that does. */
bool table_query(table *t, query *q, const table_field *fields, int count);
/* The same of all columns, as they are called and typed; of no rows no columns. */
bool table_query_all(table *t, query *q);
