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

bool schema_check(sqlite3 *db, int version, const char *path, err *e)
{
    sqlite3_stmt *q = NULL;
    int found = 0,
        code = sqlite3_prepare_v2(db, "SELECT type, name, sql FROM sqlite_schema", -1, &q, NULL);
    bool ok = true;
    while (code == SQLITE_OK && ok && (code = sqlite3_step(q)) == SQLITE_ROW) {
        const char *words = (const char *)sqlite3_column_text(q, 2);
        code = SQLITE_OK;
        if (!words) continue;
        found++;
        ok = (version > 0 && is_ours(words)) ||
             err_set(e,
                     "%s: has a %.20s '%.100s' that is none of loci's; loci collect --rebuild "
                     "makes the database anew without it",
                     path, (const char *)sqlite3_column_text(q, 0),
                     (const char *)sqlite3_column_text(q, 1));
    }
    if (ok && code != SQLITE_DONE)
        ok = err_set(e, "%s: cannot be read: %s", path, sqlite3_errmsg(db));
    if (ok && version > 0 && found < count_ours()) {
        ok = err_set(e, "%s: lacks tables or views; loci collect --rebuild makes it anew", path);
    }
    sqlite3_finalize(q);
    return ok;
}
