#include "results/store/query.h"

#include <math.h>
#include <string.h>

/* A thin layer over sqlite3_step: columns by name rather than number, so that a column that is
 * added to a SELECT moves no other, and one place where errors are looked for, the end. A loop over
 * rows needs no check of its own: after an error there are no more rows, and query_close is
 * false. */

query query_open(store *s, err *e, const char *sql, const char *const *texts, int count)
{
    query q = {.db = s, .statement = store_prepare(s, sql, e), .why = e, .at = -1};
    int wanted = sqlite3_bind_parameter_count(q.statement);
    /* Too few texts would leave parameters NULL, and a condition with NULL has no rows: an empty
     * table in the place of a mistake. */
    CHECK(!q.statement || wanted <= count, "%d parameters, %d texts: %s", wanted, count, sql);
    for (int i = 0; i < wanted; i++) {
        /* Not copied: the literal that QUERY makes lives to the end of the caller's block. */
        sqlite3_bind_text(q.statement, i + 1, texts[i], -1, SQLITE_STATIC);
    }
    return q;
}

void query_number(query *q, int parameter, int64_t value)
{
    sqlite3_bind_int64(q->statement, parameter, value);
}

/* Without the statement there are no rows, so that a failed question needs no branch at the
 * caller. */
bool query_next(query *q)
{
    return q->statement && sqlite3_step(q->statement) == SQLITE_ROW;
}

bool query_close(query *q)
{
    sqlite3_stmt *statement = q->statement;
    q->statement = NULL;
    /* Finalizing gives the last step's error again. */
    return statement &&
           (sqlite3_finalize(statement) == SQLITE_OK || store_err(q->db, "cannot be read", q->why));
}

/* Columns are mostly read in their order: then the first look finds them. The search goes round,
 * behind the one read last. */
static int column_of(query *q, const char *name)
{
    int count = sqlite3_column_count(q->statement);
    for (int i = 1; i <= count; i++) {
        int column = (q->at + i) % count;
        if (strcmp(sqlite3_column_name(q->statement, column), name) == 0) return q->at = column;
    }
    CHECK(false, "no column %s: %s", name, sqlite3_sql(q->statement));
    return -1;
}

/* NULL is 0.0 to SQLite, and 0.0 nats would be the best model of all. */
double query_real(query *q, const char *column)
{
    int i = column_of(q, column);
    if (sqlite3_column_type(q->statement, i) == SQLITE_NULL) return (double)NAN;
    return sqlite3_column_double(q->statement, i);
}

int64_t query_int(query *q, const char *column, int64_t if_null)
{
    int i = column_of(q, column);
    if (sqlite3_column_type(q->statement, i) == SQLITE_NULL) return if_null;
    return sqlite3_column_int64(q->statement, i);
}

const char *query_peek(query *q, const char *column)
{
    return (const char *)sqlite3_column_text(q->statement, column_of(q, column));
}

const char *query_text(query *q, const char *column, arena *a)
{
    const char *text = query_peek(q, column);
    return text ? arena_strdup(a, text) : NULL;
}

bool query_names(const char *const **names, int *count, query *q, arena *a)
{
    const char **list = NULL;
    int n = 0;
    while (query_next(q)) {
        if (n == 0) list = ARENA_NEW(a, const char *, query_int(q, "n", 0));
        list[n++] = query_text(q, "name", a);
    }
    *names = list;
    *count = n;
    return query_close(q);
}
