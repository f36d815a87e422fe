#include "results/store/collect_rows.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "results/store/query.h"

/* The writing half of the collector knows no table: columns and types come from the database
 * itself, and a statement is made for each table when its first row comes. The schema is then said
 * in one place, and a new column needs no code where the files' keys are called like it.
 *
 * Types matter because tables are STRICT: a value of another type would be an error that takes back
 * the whole folder, so what does not fit its column becomes NULL, which says unknown. Where the
 * column is NOT NULL the caller sets it by itself, checked. */

/* ---- tables ---- */

/* What puts rows in the place of those with their keys: changed, since to replace them would make
 * SQLite prepare to undo each row by itself. The schema is this program's: a table that does not
 * fit is a mistake in it. */
static const char *put_sql(arena *a, const collect_table *t)
{
    enum { BYTES = 4096 };
    char changes[BYTES - 1024] = "", keys[512] = "";
    size_t k = 0, l = 0;
    for (int i = 0; i < t->count; i++) {
        const char *name = t->column[i].name;
        if (t->column[i].key) {
            l += (size_t)snprintf(keys + l, sizeof keys - l, "%s\"%s\"", l ? ", " : "", name);
        } else {
            k += (size_t)snprintf(changes + k, sizeof changes - k, "%s\"%s\" = excluded.\"%s\"",
                                  k ? ", " : "UPDATE SET ", name, name);
        }
        CHECK(k < sizeof changes && l < sizeof keys, "%s", t->name);
    }
    char *sql = arena_push(a, BYTES, 1);
    /* WHERE true: or ON would begin the condition of a join. */
    snprintf(sql, BYTES,
             "INSERT INTO %s SELECT * FROM pending_%s WHERE true ON CONFLICT (%s) DO %s", t->name,
             t->name, keys, k ? changes : "NOTHING");
    return sql;
}

/* What puts rows whose keys are new. OR FAIL: those before one that is not stay, which nobody
 * minds, as all are put again then. A statement that took them back would keep, to that end, what
 * each page was before it. */
static const char *add_sql(arena *a, const collect_table *t)
{
    char *sql = arena_push(a, 256, 1);
    snprintf(sql, 256, "INSERT OR FAIL INTO %s SELECT * FROM pending_%s", t->name, t->name);
    return sql;
}

/* Once for each table and collection. pragma_table_info is a table-valued function, so that the
 * name is bound and not pasted. */
static collect_table *open_table(collector *c, const char *name, err *e)
{
    CHECK(c->tables < COLLECT_TABLES, "%d tables", c->tables);
    collect_table *t = arena_push_zero(c->memory, 1, sizeof *t);
    t->name = arena_strdup(c->memory, name);
    query q =
        QUERY(c->db, e, "SELECT name, type, pk FROM pragma_table_info(?1) ORDER BY cid", name);
    while (query_next(&q)) {
        CHECK(t->count < COLLECT_COLUMNS, "%s: %d columns", name, t->count);
        t->column[t->count].name = query_text(&q, "name", c->memory);
        t->column[t->count].type = query_text(&q, "type", c->memory);
        t->column[t->count++].key = query_int(&q, "pk", 0) > 0;
    }
    if (!query_close(&q)) return NULL;
    t->row = arena_push_zero(c->memory, t->count, sizeof *t->row);
    t->scratch = c->scratch;
    if (!pending_begin(&t->waiting, c->memory, name, t->count, c->db, e)) return NULL;
    t->put = store_prepare(c->db, put_sql(c->scratch, t), e);
    t->add = t->put ? store_prepare(c->db, add_sql(c->scratch, t), e) : NULL;
    if (t->add) return c->table[c->tables++] = t;
    sqlite3_finalize(t->put);
    pending_end(name, c->db);
    return NULL;
}

/* All NULL, or a key that this row lacks would have the last row's value. */
collect_table *collect_rows_table(collector *c, const char *name, err *e)
{
    for (int i = 0; i < c->tables; i++) {
        if (strcmp(c->table[i]->name, name) != 0) continue;
        memset(c->table[i]->row, 0, (size_t)c->table[i]->count * sizeof *c->table[i]->row);
        return c->table[i];
    }
    return open_table(c, name, e);
}

/* Before the database is closed, which it is not while statements are open. */
void collect_rows_end(collector *c)
{
    for (int i = 0; i < c->tables; i++) {
        sqlite3_finalize(c->table[i]->put);
        sqlite3_finalize(c->table[i]->add);
        pending_end(c->table[i]->name, c->db);
    }
    for (const collect_change *x = c->changes; x; x = x->next) {
        sqlite3_finalize(x->statement);
    }
    json_decref(c->known);
}

/* ---- values ---- */

/* Columns are mostly set in their order: then the first look finds them. */
static int column_of(collect_table *t, const char *name)
{
    for (int i = 1; i <= t->count; i++) {
        int column = (t->at + i) % t->count;
        if (strcmp(t->column[column].name, name) == 0) return t->at = column;
    }
    CHECK(false, "table %s has no column %s", t->name, name);
    return 0;
}

static const pending_cell NOTHING = {.kind = PENDING_NULL};

/* Not copied here: most rows wait, and are copied then with all their texts at once. */
static pending_cell of_text(const char *text)
{
    return text ? (pending_cell){PENDING_TEXT, (int)strlen(text), {.text = text}} : NOTHING;
}

static pending_cell of_int(int64_t value)
{
    return (pending_cell){PENDING_INT, 0, {.integer = value}};
}

/* Here and below, no table: it could not be asked of the database. Rows are made of a dozen values,
 * and it is enough that putting them fails. */
void collect_rows_text(collect_table *t, const char *column, const char *text)
{
    if (t) t->row[column_of(t, column)] = of_text(text);
}

void collect_rows_int(collect_table *t, const char *column, int64_t value)
{
    if (t) t->row[column_of(t, column)] = of_int(value);
}

static pending_cell whole_number(const json_t *value)
{
    double x = json_is_real(value) ? json_real_value(value) : 0;
    if (json_is_boolean(value)) return of_int(json_is_true(value));
    if (json_is_integer(value)) return of_int(json_integer_value(value));
    /* Up to 2^53, as far as doubles hold every whole number. 1e3 is 1000. */
    if (json_is_real(value) && fabs(x) < 9e15) return of_int(llround(x));
    return NOTHING;
}

/* What an object or a list says lives as long as the entry that is read. */
static pending_cell words(arena *scratch, const json_t *value)
{
    if (!json_is_object(value) && !json_is_array(value)) return of_text(json_string_value(value));
    text_auto *text = json_dumps(value, JSON_COMPACT);
    return of_text(text ? arena_strdup(scratch, text) : NULL);
}

static pending_cell cell(const collect_table *t, int column, const json_t *value)
{
    switch (t->column[column].type[0]) {
    case 'I': /* INTEGER */
        return whole_number(value);
    case 'R': /* REAL */
        return json_is_number(value)
                   ? (pending_cell){PENDING_REAL, 0, {.real = json_number_value(value)}}
                   : NOTHING;
    default: /* TEXT */
        return words(t->scratch, value);
    }
}

void collect_rows_value(collect_table *t, const char *column, const json_t *value)
{
    if (!t) return;
    int at = column_of(t, column);
    t->row[at] = cell(t, at, value);
}

/* Keys that are no columns are left out: files may say more than the database keeps. */
void collect_rows_object(collect_table *t, const json_t *object)
{
    for (int i = 0; t && i < t->count; i++) {
        const json_t *value = json_object_get(object, t->column[i].name);
        if (value) t->row[i] = cell(t, i, value);
    }
}

/* ---- statements ---- */

/* A row without a value that its table needs is its file's fault; all else is the database's.
 * SQLite's words end in "TABLE.COLUMN". */
static bool refused(store *db, err *e)
{
    bool lacks = sqlite3_extended_errcode(store_db(db)) == SQLITE_CONSTRAINT_NOTNULL;
    const char *column = lacks ? strrchr(sqlite3_errmsg(store_db(db)), '.') : NULL;
    if (!column) return store_err(db, "cannot be written", e);
    return err_set(e, "lacks '%s', or has one of another kind", column + 1);
}

/* Mostly all rows are new: what stood for a file was deleted before, or nothing did. Where one is
 * not, stamps and runs above all, the second statement puts them, those of the first again. A row
 * that the table refuses is refused by both, and the second's words are told. */
static bool flush(collector *c, collect_table *t, err *e)
{
    if (t->waiting.rows == 0) return true;
    int code = sqlite3_step(t->add);
    /* Also after a failure: a statement that is not reset has its table locked. */
    sqlite3_reset(t->add);
    if ((code & 0xff) == SQLITE_CONSTRAINT) code = sqlite3_step(t->put);
    bool ok = code == SQLITE_DONE || refused(c->db, e);
    sqlite3_reset(t->put);
    pending_clear(&t->waiting);
    return ok;
}

/* The order among tables does not matter: SQLite is not asked whether what a row refers to is
 * there, and no row is read before all are put. */
bool collect_rows_flush(collector *c, err *e)
{
    bool ok = true;
    for (int i = 0; ok && i < c->tables; i++) {
        ok = flush(c, c->table[i], e);
    }
    return ok;
}

/* What was put of them is taken back, and they are read again and put one at a time, to
 * find the one that the database refuses. */
void collect_rows_drop(collector *c)
{
    for (int i = 0; i < c->tables; i++) {
        pending_clear(&c->table[i]->waiting);
    }
}

/* A row that finds no room waits behind those that had it; one that is larger than all room is put
 * by itself, after them. */
bool collect_rows_put(collector *c, collect_table *t, err *e)
{
    if (!t) return false;
    if (!c->at_once && pending_keep(&t->waiting, t->row)) return true;
    if (!flush(c, t, e)) return false;
    if (!c->at_once && pending_keep(&t->waiting, t->row)) return true;
    pending_show(&t->waiting, t->row);
    return flush(c, t, e);
}

/* A deletion is of what was put before it, so that none of it may still wait. A statement changes
 * and asks no table that it does not name; that a column or another table is called like one puts
 * rows sooner, and changes nothing else. */
static bool flush_named(collector *c, const char *sql, err *e)
{
    bool ok = true;
    for (int i = 0; ok && i < c->tables; i++) {
        if (c->table[i]->waiting.rows && strstr(sql, c->table[i]->name)) {
            ok = flush(c, c->table[i], e);
        }
    }
    return ok;
}

/* There are some dozens of them, said for each of many runs: each is prepared once. Told apart by
 * their words, not by addresses, as some are put together in a buffer. What they are about has been
 * put by then. */
static sqlite3_stmt *statement_of(collector *c, const char *sql, const char *first,
                                  const char *second, err *e)
{
    collect_change *x = c->changes;
    while (x && strcmp(x->sql, sql) != 0)
        x = x->next;
    if (!x) {
        sqlite3_stmt *statement = store_prepare(c->db, sql, e);
        if (!statement) return NULL;
        x = ARENA_NEW(c->memory, collect_change, 1);
        *x = (collect_change){arena_strdup(c->memory, sql), statement, c->changes};
        c->changes = x;
    }
    if (!flush_named(c, sql, e)) return NULL;
    if (first) sqlite3_bind_text(x->statement, 1, first, -1, SQLITE_STATIC);
    if (second) sqlite3_bind_text(x->statement, 2, second, -1, SQLITE_STATIC);
    return x->statement;
}

bool collect_rows_change(collector *c, const char *sql, const char *first, const char *second,
                         err *e)
{
    sqlite3_stmt *s = statement_of(c, sql, first, second, e);
    bool ok = s && (sqlite3_step(s) == SQLITE_DONE || store_err(c->db, "cannot be changed", e));
    sqlite3_reset(s);
    return ok;
}

bool collect_rows_ask(collector *c, const char **answer, const char *sql, const char *first,
                      const char *second, err *e)
{
    sqlite3_stmt *s = statement_of(c, sql, first, second, e);
    int code = s ? sqlite3_step(s) : SQLITE_ERROR;
    bool ok = code == SQLITE_ROW || code == SQLITE_DONE;
    if (s && !ok) store_err(c->db, "cannot be read", e);
    const char *text = code == SQLITE_ROW ? (const char *)sqlite3_column_text(s, 0) : NULL;
    *answer = text ? arena_strdup(c->scratch, text) : NULL;
    sqlite3_reset(s);
    return ok;
}

bool collect_rows_delete(collector *c, const char *table, const char *run, const char *where,
                         err *e)
{
    char sql[256];
    snprintf(sql, sizeof sql, "DELETE FROM %s WHERE run = ?1 AND %s", table, where);
    return collect_rows_change(c, sql, run, NULL, e);
}

/* The schema says so as well (REFERENCES ... ON DELETE CASCADE), for others who change the
 * database. Here SQLite is not asked to see to it: it would look up the run for each of its
 * figures, which is a fifth of a collection. Rows of a run are never deleted. */
bool collect_rows_delete_inner(collector *c, const char *owner, const char *which, const char *key,
                               err *e)
{
    static const char *const inner[][2] = {{"experiment", "plan"},
                                           {"experiment", "axis"},
                                           {"experiment", "claim"},
                                           {"evaluation", "slice"},
                                           {"evaluation", "document"},
                                           {"evaluation", "recall"},
                                           {"evaluation", "evaluation_metric"}};
    char sql[256];
    for (size_t i = 0; i < sizeof inner / sizeof *inner; i++) {
        if (strcmp(inner[i][0], owner) != 0) continue;
        snprintf(sql, sizeof sql, "DELETE FROM %s WHERE %s %s", inner[i][1], owner, which);
        if (!collect_rows_change(c, sql, key, NULL, e)) return false;
    }
    return true;
}

bool collect_rows_delete_evaluations(collector *c, const char *run, err *e)
{
    return collect_rows_delete_inner(
               c, "evaluation", "IN (SELECT evaluation FROM evaluation WHERE run = ?1)", run, e) &&
           collect_rows_delete(c, "artefact", run, "kind = 'losses'", e) &&
           collect_rows_delete(c, "evaluation", run, "1", e);
}

bool collect_rows_artefact(collector *c, const char *id, const char *path, const char *kind,
                           const json_t *step, int64_t bytes, const char *hash, err *e)
{
    collect_table *t = collect_rows_table(c, "artefact", e);
    collect_rows_text(t, "run", id);
    collect_rows_text(t, "path", path);
    collect_rows_text(t, "kind", kind);
    collect_rows_value(t, "step", step);
    collect_rows_int(t, "bytes", bytes);
    collect_rows_text(t, "sha256", hash);
    return collect_rows_put(c, t, e);
}

/* ---- stamps ---- */

/* All at once, and looked up in memory: they are asked for every file of every run whenever results
 * are read, by several threads. */
bool collect_rows_begin(collector *c, err *e)
{
    c->known = json_object();
    query q = QUERY(c->db, e, "SELECT path, stamp FROM collected", NULL);
    while (query_next(&q)) {
        json_object_set_new_nocheck(c->known, query_peek(&q, "path"),
                                    json_string_nocheck(query_peek(&q, "stamp")));
    }
    return query_close(&q);
}

/* "runs/ID/NAME", which was looked at ahead; NULL: it was not. */
static const run_file *looked_at(const collector *c, const char *path)
{
    const char *name = strncmp(path, "runs/", 5) == 0 ? strchr(path + 5, '/') : NULL;
    return c->reading && name ? run_reading_file(c->reading, name + 1) : NULL;
}

/* In the transaction of the rows: if these are taken back, so is the stamp. */
static bool put_stamp(collector *c, const char *path, const char *stamp, err *e)
{
    collect_table *t = collect_rows_table(c, "collected", e);
    collect_rows_text(t, "path", path);
    collect_rows_text(t, "stamp", stamp);
    return collect_rows_put(c, t, e);
}

bool collect_rows_changed(collector *c, const char *path, bool *changed, err *e)
{
    file_stamp stamp;
    const run_file *f = looked_at(c, path);
    if (f) {
        stamp = f->stamp;
    } else if (!file_stamp_look(&stamp, c->known, c->out, path, "", e)) {
        return false;
    }
    c->there = stamp.there;
    c->first = stamp.first;
    *changed = stamp.changed;
    return !*changed || put_stamp(c, path, stamp.text, e);
}

bool collect_rows_again(collector *c, const char *path, err *e)
{
    return put_stamp(c, path, "", e); /* no file's */
}

json_t *collect_rows_said(const collector *c, const char *name)
{
    const run_file *f = c->reading ? run_reading_file(c->reading, name) : NULL;
    return f ? json_incref(f->said) : NULL;
}
