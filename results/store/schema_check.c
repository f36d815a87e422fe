#include "results/store/schema_check.h"

#include <string.h>

#include "results/store/schema.h"

/* SQLite keeps the words of each CREATE as they were said, without the semicolon. Indexes of keys
 * have none: they are made with their table, and SQLite takes no other index for one. */
static bool is_ours(const char *words)
{
    size_t length = strlen(words);
    for (int i = 0; SCHEMA[i]; i++) {
        if (strlen(SCHEMA[i]) == length + 1 && memcmp(SCHEMA[i], words, length) == 0) return true;
    }
    return false;
}

/* Names are unique, so that as many as SCHEMA has are all of it. */
static int count_ours(void)
{
    int n = 0;
    while (SCHEMA[n]) {
        n++;
    }
    return n;
}

/* ---- what somebody added for himself ---- */

/* A view is asked by nobody but who knows its name, unless it stands in the place of a function
 * that has rows (pragma_table_info), or of what SQLite itself looks at. */
static bool is_plain_view(const char *name)
{
    return sqlite3_strnicmp(name, "pragma_", 7) != 0 && sqlite3_strnicmp(name, "sqlite_", 7) != 0;
}

/* Columns alone, in an order that SQLite knows. An expression, or the condition of a part, is
 * worked out at each row that is brought in: it could fail, or never end. */
static bool has_plain_columns(sqlite3 *db, const char *index)
{
    enum { NUMBER = 1, ORDER = 4 };
    char *sql = sqlite3_mprintf("PRAGMA index_xinfo(%Q)", index);
    sqlite3_stmt *q = NULL;
    bool plain = sql && sqlite3_prepare_v2(db, sql, -1, &q, NULL) == SQLITE_OK;
    int columns = 0;
    for (; plain && sqlite3_step(q) == SQLITE_ROW; columns++) {
        const char *order = (const char *)sqlite3_column_text(q, ORDER);
        plain = sqlite3_column_int(q, NUMBER) >= -1 && order &&
                (strcmp(order, "BINARY") == 0 || strcmp(order, "NOCASE") == 0 ||
                 strcmp(order, "RTRIM") == 0);
    }
    sqlite3_finalize(q);
    sqlite3_free(sql);
    return plain && columns > 0;
}

/* One that is unique could refuse a row; SQLite keeps its words as CREATE UNIQUE INDEX. */
static bool is_plain_index(sqlite3 *db, const char *name, const char *words)
{
    return strncmp(words, "CREATE INDEX ", 13) == 0 && sqlite3_strlike("%where%", words, 0) != 0 &&
           has_plain_columns(db, name);
}

/* What ANALYZE leaves: it decides how a question is asked, not what the answer is. */
static bool is_statistics(const char *words)
{
    return strcmp(words, "CREATE TABLE sqlite_stat1(tbl,idx,stat)") == 0 ||
           strcmp(words, "CREATE TABLE sqlite_stat4(tbl,idx,neq,nlt,ndlt,sample)") == 0;
}

/* A row whose name or kind is not what its words make SQLite does not take for a schema. */
static bool is_harmless(sqlite3 *db, const char *kind, const char *name, const char *words)
{
    if (strcmp(kind, "view") == 0) return is_plain_view(name);
    if (strcmp(kind, "index") == 0) return is_plain_index(db, name, words);
    return strcmp(kind, "table") == 0 && is_statistics(words);
}

/* ---- all of it ---- */

/* The text of a column, or "". */
static const char *text_of(sqlite3_stmt *q, int column)
{
    const char *text = (const char *)sqlite3_column_text(q, column);
    return text ? text : "";
}

bool schema_check(sqlite3 *db, int version, const char *path, err *e)
{
    sqlite3_stmt *q = NULL;
    int found = 0,
        code = sqlite3_prepare_v2(db, "SELECT sql, type, name FROM sqlite_schema", -1, &q, NULL);
    bool ok = true;
    while (code == SQLITE_OK && ok && (code = sqlite3_step(q)) == SQLITE_ROW) {
        const char *words = text_of(q, 0), *kind = text_of(q, 1), *name = text_of(q, 2);
        code = SQLITE_OK;
        bool ours = version > 0 && is_ours(words);
        found += ours;
        if (!*words || ours || (version > 0 && is_harmless(db, kind, name, words))) continue;
        ok = err_set(e,
                     "%s: has a %.20s '%.100s' that is none of loci's; loci collect --rebuild "
                     "makes the database anew without it",
                     path, kind, name);
    }
    if (ok && code != SQLITE_DONE) {
        ok = err_set(e, "%s: cannot be read: %s%s", path, sqlite3_errmsg(db),
                     code == SQLITE_CORRUPT ? "; loci collect --rebuild makes it anew" : "");
    }
    if (ok && version > 0 && found < count_ours()) {
        ok = err_set(e, "%s: lacks tables or views; loci collect --rebuild makes it anew", path);
    }
    sqlite3_finalize(q);
    return ok;
}
