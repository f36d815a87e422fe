/* A question to the database, answered row by row; columns are read by their names.
 *
 *   query q = QUERY(s, e, "SELECT run, seed FROM plan WHERE experiment = ?1", name);
 *   while (query_next(&q)) use(query_int(&q, "seed", 0));
 *   return query_close(&q);
 *
 * A read that fails ends the rows, too: only query_close tells which it was, so every query ends
 * with it, and its false is the caller's. A question that cannot be asked has no rows. */
#pragma once

#include "results/store/store.h"

typedef struct query {
    store *db;
    sqlite3_stmt *statement; /* NULL: could not be asked */
    err *why;
    int at; /* the column read last: the next one is looked for behind it */
} query;

/* The texts are those of the parameters ?1, ?2 ...: NULL for NULL, for one that is a number, and
 * alone for none. They and the error live as long as the query. */
#define QUERY(s, e, sql, ...)                                                                      \
    query_open(s, e, sql, (const char *const[]){__VA_ARGS__},                                      \
               (int)(sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)))
query query_open(store *s, err *e, const char *sql, const char *const *texts, int count);
void query_number(query *q, int parameter, int64_t value);

bool query_next(query *q);
/* False if a row could not be read or nothing could be asked: then the error says why. */
bool query_close(query *q);

/* Of the row: NaN for NULL; text copied into the arena, NULL for NULL; text until the next row. */
double query_real(query *q, const char *column);
int64_t query_int(query *q, const char *column, int64_t if_null);
const char *query_text(query *q, const char *column, arena *a);
const char *query_peek(query *q, const char *column);

/* All rows of a question of names, `SELECT ... AS name, count(*) OVER () AS n`: the window's count
 * comes with the first row and sizes the list, in one question. In the arena; closes the query. */
bool query_names(const char *const **names, int *count, query *q, arena *a);
