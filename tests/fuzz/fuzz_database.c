/* A database whose pages are valid and whose contents are wrong: the input is a list of changes
 * (table, column, row, value), each 8 bytes and the bytes of a text, that SQLite makes in a good
 * database, some of its schema. Everything that reads it then prints, or says what is wrong. */
#include <stdio.h>
#include <string.h>

#include "results/store/query.h"
#include "tests/fuzz/reading.h"
#include "tests/fuzz/scratch.h"
#include "tests/fuzz/target.h"
#include "tests/fuzz/tiny_run.h"

enum { MAX_COLUMNS = 1024, CHANGES = 8 };

static char *good;
static size_t good_bytes;
static struct {
    char table[64], name[64];
} column[MAX_COLUMNS];
static int columns;

static void list_columns(sqlite3 *db)
{
    sqlite3_stmt *s = NULL;
    sqlite3_prepare_v2(db,
                       "SELECT m.name, c.name FROM sqlite_master m, pragma_table_info(m.name) c "
                       "WHERE m.type = 'table'",
                       -1, &s, NULL);
    while (sqlite3_step(s) == SQLITE_ROW && columns < MAX_COLUMNS) {
        snprintf(column[columns].table, 64, "%s", (const char *)sqlite3_column_text(s, 0));
        snprintf(column[columns++].name, 64, "%s", (const char *)sqlite3_column_text(s, 1));
    }
    sqlite3_finalize(s);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    err e = {0};
    tiny_run_make();
    store *s = store_open_reader(tiny_run_out(), &e);
    CHECK(s, "%s", e.text);
    list_columns(store_db(s));
    good = file_read(store_path(s), &good_bytes, &e);
    CHECK(good && columns > 50, "%d columns: %s", columns, e.text);
    store_close(s);
    scratch_quiet();
    return 0;
}

static void bind_value(sqlite3_stmt *s, const uint8_t *change, const char *text, size_t bytes)
{
    static const double CURIOUS[] = {0, -1, 0.5, 1e308, -1e-308, 1e18};
    int64_t whole = 0;
    memcpy(&whole, change + 4, 4);
    switch (change[3] % 6) {
    case 0:
        sqlite3_bind_null(s, 1);
        break;
    case 1:
        sqlite3_bind_int64(s, 1, whole - (1 << 20));
        break;
    case 2:
        sqlite3_bind_double(s, 1, CURIOUS[change[4] % 6]);
        break;
    case 3:
        sqlite3_bind_int64(s, 1, (int64_t)((uint64_t)whole << 32));
        break;
    case 4:
        sqlite3_bind_blob(s, 1, text, (int)bytes, SQLITE_STATIC);
        break;
    default:
        sqlite3_bind_text(s, 1, text, (int)bytes, SQLITE_STATIC);
    }
}

/* What somebody might add to the tables, or take away. */
static void change_schema(sqlite3 *db, unsigned how, const char *table, const char *of)
{
    static const char *const FORMS[] = {
        "CREATE VIEW x AS SELECT * FROM \"%w\"",
        "CREATE VIEW pragma_x AS SELECT * FROM \"%w\"",
        "CREATE INDEX x ON \"%w\"(\"%w\" COLLATE NOCASE)",
        "CREATE INDEX x ON \"%w\"(abs(\"%w\"))",
        "CREATE UNIQUE INDEX x ON \"%w\"(\"%w\")",
        "CREATE INDEX x ON \"%w\"(\"%w\") WHERE 1",
        "CREATE TRIGGER x AFTER INSERT ON \"%w\" BEGIN SELECT 1; END",
        "CREATE TABLE x AS SELECT * FROM \"%w\"",
        "DROP TABLE \"%w\"",
        "ANALYZE \"%w\"",
        "ALTER TABLE \"%w\" DROP COLUMN \"%w\"",
        "PRAGMA user_version = 1",
        "PRAGMA user_version = 1000000"};
    char *sql = sqlite3_mprintf(FORMS[how % (sizeof FORMS / sizeof *FORMS)], table, of);
    sqlite3_exec(db, sql, NULL, NULL, NULL);
    sqlite3_free(sql);
}

/* UPDATE, DELETE or doubling of a row, whatever the schema makes of it. */
static void change(sqlite3 *db, const uint8_t *how, const char *text, size_t bytes)
{
    char sql[512];
    sqlite3_stmt *s = NULL;
    int at = (how[0] | how[1] << 8) % columns;
    const char *table = column[at].table;
    if (how[2] >= 224 && how[2] < 240) {
        change_schema(db, how[3], table, column[at].name);
        return;
    }
    if (how[2] >= 240) {
        snprintf(sql, sizeof sql, "DELETE FROM \"%s\" WHERE rowid %% 3 = %d", table, how[2] % 3);
        sqlite3_exec(db, sql, NULL, NULL, NULL);
        return;
    }
    snprintf(sql, sizeof sql, "UPDATE OR IGNORE \"%s\" SET \"%s\" = ?1 WHERE %s", table,
             column[at].name, how[2] % 2 ? "1" : "rowid = (SELECT max(rowid) FROM run)");
    if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) != SQLITE_OK) return;
    bind_value(s, how, text, bytes);
    sqlite3_step(s);
    sqlite3_finalize(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    err e = {0};
    sqlite3 *db = NULL;
    const unsigned part = reading_choice(data, bytes);
    scratch_write("out/loci.db", good, good_bytes);
    if (sqlite3_open(scratch_path("out/loci.db"), &db) != SQLITE_OK) return 0;
    sqlite3_exec(db, "PRAGMA synchronous = off; PRAGMA journal_mode = off; BEGIN", NULL, NULL,
                 NULL);
    for (int i = 0; i < CHANGES && bytes >= 9; i++) {
        size_t text = MIN(data[8], bytes - 9);
        change(db, data, (const char *)data + 9, text);
        data += 9 + text;
        bytes -= 9 + text;
    }
    sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
    sqlite3_close(db);
    store *s = store_open_reader(tiny_run_out(), &e);
    if (s) reading_part(s, TINY_RUN_NAME, part);
    store_close(s);
    return 0;
}
