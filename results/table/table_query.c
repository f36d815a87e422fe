#include "results/table/table_query.h"

/* The two ways from a query to a table: with a list of fields, for tables that people read, where
 * titles, units and digits are chosen; or all columns as they come, for exports. Both close the
 * query, so that a caller cannot forget to ask whether it was read to its end. */

/* Asked for by name, so that fields may be in another order than the query's columns. */
static void put_field(table *t, int column, query *q, const table_field *f)
{
    const char *text = query_peek(q, f->key);
    /* NULL: the cell stays empty, which is not 0. */
    if (!text) return;
    if (f->form == FORM_TEXT) table_text(t, column, "%s", text);
    if (f->form == FORM_INT) table_int(t, column, query_int(q, f->key, 0));
    if (f->form == FORM_REAL) table_real(t, column, query_real(q, f->key), f->decimals);
    if (f->form == FORM_SCALED) table_scaled(t, column, query_real(q, f->key));
}

/* Texts are left-aligned, by the form; the fields say the rest. */
bool table_query(table *t, query *q, const table_field *fields, int count)
{
    int first = 0;
    for (int i = 0; i < count; i++) {
        const table_field *f = &fields[i];
        int column = table_column(t, f->key, f->title, f->unit ? f->unit : "",
                                  f->flags | (f->form == FORM_TEXT ? TABLE_LEFT : 0));
        /* The table may have columns already; the fields' own follow each other. */
        if (i == 0) first = column;
    }
    while (query_next(q)) {
        table_row(t);
        for (int i = 0; i < count; i++) {
            put_field(t, first + i, q, &fields[i]);
        }
    }
    return query_close(q);
}

/* What SQLite has in a column of the row. By the value: an expression's column has no declared
 * type. */
static table_form form_of(sqlite3_stmt *row, int column)
{
    int type = sqlite3_column_type(row, column);
    return type == SQLITE_INTEGER ? FORM_INT : type == SQLITE_FLOAT ? FORM_REAL : FORM_TEXT;
}

bool table_query_all(table *t, query *q)
{
    int count = sqlite3_column_count(q->statement);
    if (count > TABLE_COLUMNS) {
        return query_close(q) &&
               err_set(q->why,
                       "%d columns, and a table has at most %d; take CSV or JSON lines, which have "
                       "all",
                       count, TABLE_COLUMNS);
    }
    while (query_next(q)) {
        /* From the first row, as types are those of values; a NULL there leaves a column to the
         * right. */
        for (int i = 0; table_rows(t) == 0 && i < count; i++) {
            const char *name = sqlite3_column_name(q->statement, i);
            bool left = sqlite3_column_type(q->statement, i) == SQLITE_TEXT;
            table_column(t, name, name, "", left ? TABLE_LEFT : 0);
        }
        table_row(t);
        for (int i = 0; i < count; i++) {
            table_field f = {.key = sqlite3_column_name(q->statement, i),
                             .form = form_of(q->statement, i),
                             .decimals = 4};
            put_field(t, i, q, &f);
        }
    }
    return query_close(q);
}
