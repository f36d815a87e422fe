/* Databases that hold more than this program's tables and views, or others in their place. */
#include <string.h>

#include "core/base/file.h"
#include "results/store/collect.h"
#include "results/store/query.h"
#include "tests/support/collected.h"
#include "tests/test.h"

/* An order of somebody's own program. */
static int own_order(void *user, int bytes_a, const void *a, int bytes_b, const void *b)
{
    (void)user;
    int differs = memcmp(a, b, (size_t)MIN(bytes_a, bytes_b));
    return differs ? differs : bytes_a - bytes_b;
}

static void ask_to(const char *out, const char *sql)
{
    char path[FILE_PATH_BYTES];
    sqlite3 *db;
    snprintf(path, sizeof path, "%s/loci.db", out);
    EXPECT(sqlite3_open(path, &db) == SQLITE_OK &&
               sqlite3_create_collation(db, "own", SQLITE_UTF8, NULL, own_order) == SQLITE_OK &&
               sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK,
           "%s: %s", sql, sqlite3_errmsg(db));
    sqlite3_close(db);
}

/* What a stranger added to his database, or put in the place of ours, is not asked: figures are
 * those of the folders, with a word, until it is made anew. */
static void foreign_schema(void)
{
    static const char *const changes[] = {
        "CREATE TRIGGER t AFTER INSERT ON evaluation BEGIN UPDATE evaluation SET nats = 0; END",
        "CREATE TABLE mine (a)",
        "CREATE UNIQUE INDEX i ON run (variant, seed)",
        "CREATE INDEX i ON run (seed COLLATE own)",
        "CREATE INDEX i ON evaluation (hex(zeroblob(nats)))",
        "CREATE INDEX i ON evaluation (nats) WHERE hex(zeroblob(nats))",
        "CREATE VIEW pragma_table_info AS SELECT 'run' AS name, 'TEXT' AS type, 1 AS pk, 0 AS cid",
        ("DROP VIEW score; CREATE VIEW score AS SELECT *, 0.0 AS bits_per_byte, 1.0 AS perplexity, "
         "1.0 AS word_perplexity FROM evaluation WHERE (WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL "
         "SELECT x + 1 FROM c) SELECT max(x) FROM c) > 0"),
        "DROP VIEW seed_mean",
        ("DROP TABLE step; CREATE TABLE step (run TEXT, step INTEGER, tokens INTEGER, seconds REAL "
         "CHECK (0))")};
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        fake_experiment x = collected_sample(2);
        fake_write(&x);
        collected_now(x.out, i > 0, 6);
        ask_to(x.out, changes[i]);
        fake_write(&x); /* there is something to bring in */
        collect_report r;
        err e = {0}, note = {0};
        store_auto *reader = store_open_reader(x.out, &e);
        EXPECT(!reader && strstr(e.text, "loci.db: "), "%s: %s", changes[i], e.text);
        EXPECT(!collect(&r, x.out, false, &e) && strstr(e.text, "--rebuild"), "%s: %s", changes[i],
               e.text);
        store_auto *s = collect_and_open(x.out, &note, &e);
        EXPECT(s && strstr(note.text, "--rebuild"), "%s: %s%s", changes[i], note.text, e.text);
        query q = QUERY(s, &e, "SELECT count(*) AS n FROM result WHERE perplexity > 2", NULL);
        EXPECT(query_next(&q) && query_int(&q, "n", 0) == 4, "%s: other figures", changes[i]);
        query_close(&q);
        collected_now(x.out, true, 6);
    }
}

/* In a file that was made by hand a row's name need not be what its words make. */
static void false_names(void)
{
    static const struct {
        const char *made, *change, *said;
    } changes[] = {
        {"CREATE VIEW pragma_table_info AS SELECT 1", "name = 'v' WHERE name = 'pragma_table_info'",
         "cannot be read"},
        {"CREATE UNIQUE INDEX u ON run (variant, seed)",
         "name = 'evaluation_run', tbl_name = 'evaluation' WHERE name = 'u'", "cannot be read"},
        {"CREATE TRIGGER t AFTER INSERT ON run BEGIN SELECT 1; END",
         "type = 'view', name = 'v' WHERE name = 't'", "cannot be read"},
        {"CREATE VIEW v AS SELECT 1",
         "name = 'sqlite_stat1', tbl_name = 'sqlite_stat1', sql = 'CREATE VIEW sqlite_stat1 AS "
         "SELECT 1 AS tbl, 1 AS idx, 1 AS stat' WHERE name = 'v'",
         "'sqlite_stat1' that is none"}};
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        fake_experiment x = collected_sample(2);
        fake_write(&x);
        collected_now(x.out, i > 0, 6);
        ask_to(x.out, changes[i].made);
        char sql[512];
        snprintf(sql, sizeof sql, "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET %s",
                 changes[i].change);
        ask_to(x.out, sql);
        err e = {0};
        store_auto *reader = store_open_reader(x.out, &e);
        EXPECT(!reader && strstr(e.text, changes[i].said) && strstr(e.text, "--rebuild"), "%s: %s",
               changes[i].change, e.text);
    }
}

/* What people add for their own questions stays as it is, with no word, until the database is made
 * anew. */
static void own_additions(void)
{
    static const char *const changes[] = {
        "CREATE INDEX i ON run (seed)",
        "CREATE INDEX IF NOT EXISTS \"by size\" ON evaluation (tokens DESC, split COLLATE NOCASE)",
        "CREATE VIEW best AS SELECT label, min(bits_per_byte) FROM result GROUP BY label",
        "CREATE VIEW \"my figures\" AS SELECT * FROM score WHERE final", "ANALYZE"};
    fake_experiment x = collected_sample(2);
    fake_write(&x);
    collected_now(x.out, false, 6);
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        ask_to(x.out, changes[i]);
        fake_write(&x); /* there is something to bring in */
        err e = {0}, note = {0};
        store_auto *s = collect_and_open(x.out, &note, &e);
        EXPECT(s && !note.text[0], "%s: %s%s", changes[i], note.text, e.text);
        query q = QUERY(s, &e, "SELECT count(*) AS n FROM result WHERE perplexity > 2", NULL);
        EXPECT(query_next(&q) && query_int(&q, "n", 0) == 4, "%s: other figures", changes[i]);
        query_close(&q);
    }
    EXPECT(fake_ask(x.out, "SELECT count(*) FROM sqlite_schema WHERE name IN ('i', 'by size', "
                           "'best', 'my figures', 'sqlite_stat1')") == 5,
           "they are gone");
}

static int count_in(const char *out, const char *sql)
{
    char path[FILE_PATH_BYTES];
    sqlite3 *db;
    sqlite3_stmt *q = NULL;
    snprintf(path, sizeof path, "%s/loci.db", out);
    EXPECT(sqlite3_open(path, &db) == SQLITE_OK &&
               sqlite3_prepare_v2(db, sql, -1, &q, NULL) == SQLITE_OK &&
               sqlite3_step(q) == SQLITE_ROW,
           "%s", sql);
    int n = sqlite3_column_int(q, 0);
    sqlite3_finalize(q);
    sqlite3_close(db);
    return n;
}

/* Another program's file is not added to. */
static void foreign_database(void)
{
    fake_experiment x = collected_sample(1);
    fake_write(&x);
    ask_to(x.out, "CREATE TABLE mine (a); INSERT INTO mine VALUES (1)");
    collect_report r;
    err e = {0};
    EXPECT(!collect(&r, x.out, false, &e) && strstr(e.text, "'mine'"), "%s", e.text);
    EXPECT(count_in(x.out, "SELECT count(*) FROM sqlite_schema") == 1, "it was added to");
}

const test_suite test_schema_check = {"results/schema_check",
                                      {{"foreign_schema", foreign_schema},
                                       {"false_names", false_names},
                                       {"own_additions", own_additions},
                                       {"foreign_database", foreign_database},
                                       {0}}};
