#include "tests/support/same_results.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "harness/train/checkpoint_files.h"
#include "results/store/collect.h"
#include "tests/test.h"

/* ---- databases ---- */

/* Columns that are times or depend on them, and who trained a run where, and in what memory. */
static const char OTHER_COLUMNS[] =
    "'created_at', 'started_at', 'ended_at', 'seconds', 'train_seconds', 'tokens_per_second', "
    "'peak_rss_bytes', 'peak_anon_bytes', 'anon_bytes', 'log', 'at', 'host', 'job', 'command', "
    "'cores', 'memory_bytes', 'sittings'";

static char *query_text(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *q;
    char *text = NULL;
    EXPECT(sqlite3_prepare_v2(db, sql, -1, &q, NULL) == SQLITE_OK, "%s: %s", sql,
           sqlite3_errmsg(db));
    if (sqlite3_step(q) == SQLITE_ROW && sqlite3_column_text(q, 0)) {
        text = strdup((const char *)sqlite3_column_text(q, 0));
    }
    sqlite3_finalize(q);
    return text;
}

/* Rows of `one` that `other` lacks. */
static int missing_rows(sqlite3 *db, const char *name, const char *columns, const char *one,
                        const char *other)
{
    /* The file of moments holds the seconds spent, too: its checksum is one of times. */
    const char *rows = strcmp(name, "artefact") == 0 ? "WHERE kind <> 'train'"
                       : strcmp(name, "metric") == 0 ? "WHERE name <> 'tokens_per_second'"
                                                     : "";
    char *sql = sqlite3_mprintf("SELECT count(*) FROM (SELECT %s FROM %s.%s %s EXCEPT "
                                "SELECT %s FROM %s.%s)",
                                columns, one, name, rows, columns, other, name);
    char *text = query_text(db, sql);
    int n = text ? atoi(text) : -1;
    free(text);
    sqlite3_free(sql);
    return n;
}

static void same_databases(const char *out_a, const char *out_b)
{
    collect_report r;
    err e = {0};
    sqlite3 *db;
    char a[FILE_PATH_BYTES], b[FILE_PATH_BYTES];
    EXPECT(collect(&r, out_a, false, &e) && collect(&r, out_b, false, &e), "%s", e.text);
    file_join(a, out_a, "loci.db", NULL);
    file_join(b, out_b, "loci.db", NULL);
    EXPECT(sqlite3_open_v2(a, &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK, "%s", a);
    char *attach = sqlite3_mprintf("ATTACH %Q AS other", b);
    EXPECT(sqlite3_exec(db, attach, NULL, NULL, NULL) == SQLITE_OK, "%s", sqlite3_errmsg(db));
    sqlite3_free(attach);
    sqlite3_stmt *q;
    int tables = 0;
    sqlite3_prepare_v2(db,
                       "SELECT name FROM main.sqlite_master WHERE type = 'table' AND name <> "
                       "'collected'",
                       -1, &q, NULL);
    for (; sqlite3_step(q) == SQLITE_ROW; tables++) {
        const char *name = (const char *)sqlite3_column_text(q, 0);
        char *sql = sqlite3_mprintf("SELECT group_concat('\"' || name || '\"') FROM "
                                    "pragma_table_info(%Q) WHERE name NOT IN (%s)",
                                    name, OTHER_COLUMNS);
        char *columns = query_text(db, sql);
        int less = missing_rows(db, name, columns, "main", "other");
        int more = missing_rows(db, name, columns, "other", "main");
        EXPECT(less == 0 && more == 0, "%s: %d rows lost, %d rows too many", name, less, more);
        free(columns);
        sqlite3_free(sql);
    }
    sqlite3_finalize(q);
    EXPECT(tables > 8, "%d tables", tables);
    sqlite3_close(db);
}

/* ---- files ---- */

static void same_file(const char *a, const char *b)
{
    size_t n, m;
    char *x = file_read(a, &n, NULL), *y = file_read(b, &m, NULL);
    EXPECT(x && y && n == m && memcmp(x, y, n) == 0, "%s and %s differ", a, b);
    free(x);
    free(y);
}

/* The model files that the manifest in folder/name names; each has its checksum, which the
 * databases compare. */
static void whole_checkpoint(const char *folder, const char *name)
{
    char path[FILE_PATH_BYTES];
    err e = {0};
    EXPECT(file_join(path, folder, name, &e), "%s", e.text);
    safetensors *s = checkpoint_files_open(path, "model", &e);
    EXPECT(s, "%s", e.text);
    if (s) safetensors_close(s);
}

static void same_folders(const char *a, const char *b)
{
    char x[FILE_PATH_BYTES], y[FILE_PATH_BYTES];
    const char *const *names;
    int64_t count = 0;
    arena *m = arena_new(1 << 14);
    if (!file_is_folder(a)) return;
    EXPECT(file_list(a, m, &names, &count, NULL), "%s", a);
    for (int64_t i = 0; i < count; i++) {
        file_join(x, a, names[i], NULL);
        file_join(y, b, names[i], NULL);
        if (strncmp(names[i], "losses-", 7) == 0) same_file(x, y);
        if (strncmp(names[i], "checkpoint", 10) == 0) whole_checkpoint(b, names[i]);
    }
    arena_free(m);
}

void same_results(const char *out_a, const char *out_b)
{
    char runs_a[FILE_PATH_BYTES], runs_b[FILE_PATH_BYTES], a[FILE_PATH_BYTES], b[FILE_PATH_BYTES];
    const char *const *ids;
    int64_t count = 0;
    arena *m = arena_new(1 << 14);
    same_databases(out_a, out_b);
    file_join(runs_a, out_a, "runs", NULL);
    file_join(runs_b, out_b, "runs", NULL);
    EXPECT(file_list(runs_a, m, &ids, &count, NULL) && count > 0, "%s: no runs", runs_a);
    for (int64_t i = 0; i < count; i++) {
        file_join(a, runs_a, ids[i], NULL);
        file_join(b, runs_b, ids[i], NULL);
        same_folders(a, b);
    }
    arena_free(m);
}
