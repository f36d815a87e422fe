#include "results/store/pending.h"

#include <stdio.h>
#include <string.h>

/* The least that SQLite wants of a virtual table: rows one after the other, as often as asked for,
 * in their order. It is there for one connection and in no schema.
 *
 * Several rows in the VALUES of a statement would save half as much: each value is bound, and
 * copied by that, and there would have to be a statement for each number of rows. */

typedef struct shown {
    sqlite3_vtab base;
    const pending *rows;
} shown;

typedef struct cursor {
    sqlite3_vtab_cursor base;
    int row;
} cursor;

/* They may be others the next time that a prepared statement runs; the virtual table stays. */
static const pending *rows_of(const sqlite3_vtab_cursor *c)
{
    const shown *s = (const shown *)c->pVtab; /* its first member */
    return s->rows;
}

/* Types are those of the table that rows are put into: these columns have none, so that a value
 * comes there as it was set. */
static int show(sqlite3 *db, void *rows, int argc, const char *const *argv, sqlite3_vtab **out,
                char **why)
{
    (void)argc, (void)argv, (void)why;
    const pending *p = rows;
    char sql[1024] = "CREATE TABLE x(c0";
    size_t n = strlen(sql);
    for (int i = 1; i < p->columns; i++) {
        n += (size_t)snprintf(sql + n, sizeof sql - n, ", c%d", i);
    }
    /* The schema is this program's own, as is the number of its columns. */
    CHECK(n + 2 <= sizeof sql, "%d columns", p->columns);
    memcpy(sql + n, ")", 2);
    int code = sqlite3_declare_vtab(db, sql);
    shown *s = code == SQLITE_OK ? sqlite3_malloc(sizeof *s) : NULL;
    if (!s) return code == SQLITE_OK ? SQLITE_NOMEM : code;
    *s = (shown){.rows = p};
    *out = &s->base;
    return SQLITE_OK;
}

static int hide(sqlite3_vtab *s)
{
    sqlite3_free(s);
    return SQLITE_OK;
}

/* There is one way to read them, and nothing is asked but all of them. */
static int best_index(sqlite3_vtab *s, sqlite3_index_info *info)
{
    (void)s, (void)info;
    return SQLITE_OK;
}

/* A reading of its own for each statement: that of the first try ends before the second begins. */
static int open_cursor(sqlite3_vtab *s, sqlite3_vtab_cursor **out)
{
    (void)s;
    cursor *c = sqlite3_malloc(sizeof *c);
    if (!c) return SQLITE_NOMEM;
    *c = (cursor){.row = 0};
    *out = &c->base;
    return SQLITE_OK;
}

static int close_cursor(sqlite3_vtab_cursor *c)
{
    sqlite3_free(c);
    return SQLITE_OK;
}

/* Each statement begins at the first row: what the first try put is put again by the second. */
static int first(sqlite3_vtab_cursor *base, int index, const char *name, int argc,
                 sqlite3_value **argv)
{
    (void)index, (void)name, (void)argc, (void)argv;
    ((cursor *)base)->row = 0;
    return SQLITE_OK;
}

static int next(sqlite3_vtab_cursor *base)
{
    ((cursor *)base)->row++;
    return SQLITE_OK;
}

static int at_end(sqlite3_vtab_cursor *base)
{
    return ((cursor *)base)->row >= rows_of(base)->rows;
}

/* Texts are not copied: they wait at least as long as the statement runs. */
static int column(sqlite3_vtab_cursor *base, sqlite3_context *to, int i)
{
    const pending *p = rows_of(base);
    const pending_cell *x = &p->from[(int64_t)((cursor *)base)->row * p->columns + i];
    switch (x->kind) {
    case PENDING_INT:
        sqlite3_result_int64(to, x->integer);
        break;
    case PENDING_REAL:
        sqlite3_result_double(to, x->real);
        break;
    case PENDING_TEXT:
        sqlite3_result_text(to, x->text, x->bytes, SQLITE_STATIC);
        break;
    case PENDING_NULL:
        sqlite3_result_null(to);
    }
    return SQLITE_OK;
}

/* Nobody asks for it; SQLite calls a table without it damaged. */
static int rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *id)
{
    *id = ((cursor *)base)->row;
    return SQLITE_OK;
}

/* No xCreate: it is there without a CREATE. */
static const sqlite3_module MODULE = {.xConnect = show,
                                      .xBestIndex = best_index,
                                      .xDisconnect = hide,
                                      .xOpen = open_cursor,
                                      .xClose = close_cursor,
                                      .xFilter = first,
                                      .xNext = next,
                                      .xEof = at_end,
                                      .xColumn = column,
                                      .xRowid = rowid};

/* One virtual table for each table, so that a statement needs nothing bound that says whose rows it
 * is to see. */
static bool set_module(store *db, const char *table, const sqlite3_module *module, pending *p)
{
    char name[128];
    snprintf(name, sizeof name, "pending_%s", table);
    return sqlite3_create_module(store_db(db), name, module, p) == SQLITE_OK;
}

/* All room at once: it is mapped, and what is never filled takes little. */
bool pending_begin(pending *p, arena *a, const char *table, int columns, store *db, err *e)
{
    *p = (pending){.columns = columns,
                   .cells = ARENA_NEW(a, pending_cell, (int64_t)PENDING_ROWS * columns),
                   .texts = arena_push(a, PENDING_BYTES, 1)};
    p->from = p->cells;
    return set_module(db, table, &MODULE, p) || store_err(db, "cannot be written", e);
}

/* Without a module of the name, what was there is taken away: the rows' memory goes before the
 * connection, which readers may go on with. */
void pending_end(const char *table, store *db)
{
    set_module(db, table, NULL, NULL);
}

/* Texts are copied behind each other: what they were read from is given back before they are put.
 */
bool pending_keep(pending *p, const pending_cell *row)
{
    /* Either the whole row or nothing of it: a row that was kept by halves would be put. */
    size_t bytes = 0;
    for (int i = 0; i < p->columns; i++) {
        if (row[i].kind == PENDING_TEXT) bytes += (size_t)row[i].bytes;
    }
    if (p->rows == PENDING_ROWS || p->used + bytes > PENDING_BYTES) return false;
    pending_cell *to = &p->cells[(int64_t)p->rows++ * p->columns];
    memcpy(to, row, (size_t)p->columns * sizeof *to);
    for (int i = 0; i < p->columns; i++) {
        if (to[i].kind != PENDING_TEXT) continue;
        to[i].text = memcpy(p->texts + p->used, to[i].text, (size_t)to[i].bytes);
        p->used += (size_t)to[i].bytes;
    }
    return true;
}

/* A spec or the end of a log may be longer than all the room that texts have. It lies where it was
 * read until the row is put, which is next. */
void pending_show(pending *p, const pending_cell *row)
{
    p->from = row;
    p->rows = 1;
}

/* `from` too: a row that was shown alone lies in memory of its caller. */
void pending_clear(pending *p)
{
    p->from = p->cells;
    p->rows = 0;
    p->used = 0;
}
