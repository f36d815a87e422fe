#include "results/store/collect_rows.h"

#include <math.h>
#include <string.h>
#include <sys/stat.h>

#include "core/base/file.h"

void collect_rows_bind_int(sqlite3_stmt *q, int at, const json_t *value)
{
    if (json_is_boolean(value)) {
        sqlite3_bind_int(q, at, json_is_true(value));
    } else if (json_is_integer(value)) {
        sqlite3_bind_int64(q, at, json_integer_value(value));
    } else if (json_is_real(value) && fabs(json_real_value(value)) < 9e15) { /* 1e3 is 1000 */
        sqlite3_bind_int64(q, at, llround(json_real_value(value)));
    } else {
        sqlite3_bind_null(q, at);
    }
}

void collect_rows_bind_real(sqlite3_stmt *q, int at, const json_t *value)
{
    if (json_is_number(value)) {
        sqlite3_bind_double(q, at, json_number_value(value));
    } else {
        sqlite3_bind_null(q, at);
    }
}

void collect_rows_bind_text(sqlite3_stmt *q, int at, const char *text)
{
    sqlite3_bind_text(q, at, text, -1, SQLITE_TRANSIENT); /* NULL binds NULL */
}

bool collect_rows_put(collector *c, sqlite3_stmt *q, err *e)
{
    bool ok = sqlite3_step(q) == SQLITE_DONE || store_err(c->db, "cannot be written", e);
    sqlite3_reset(q);
    return ok;
}

bool collect_rows_delete(collector *c, const char *table, const char *run, const char *where,
                         err *e)
{
    char *sql = sqlite3_mprintf("DELETE FROM %s WHERE run = %Q AND %s", table, run, where);
    CHECK(sql, "no memory for a statement");
    bool ok = store_exec(c->db, sql, e);
    sqlite3_free(sql);
    return ok;
}

bool collect_rows_artefact(collector *c, const char *id, const char *path, const char *kind,
                           const json_t *step, int64_t bytes, const char *hash, err *e)
{
    collect_rows_bind_text(c->artefact, 1, id);
    collect_rows_bind_text(c->artefact, 2, path);
    collect_rows_bind_text(c->artefact, 3, kind);
    collect_rows_bind_int(c->artefact, 4, step);
    sqlite3_bind_int64(c->artefact, 5, bytes);
    collect_rows_bind_text(c->artefact, 6, hash);
    return collect_rows_put(c, c->artefact, e);
}

/* ---- stamps ---- */

static void stamp_of(char stamp[128], const char *path, const char *more)
{
    struct stat s;
    if (stat(path, &s) != 0) {
        snprintf(stamp, 128, "absent %s", more);
        return;
    }
    snprintf(stamp, 128, "%lld %lld.%09ld %llu %s", (long long)s.st_size,
             (long long)s.st_mtim.tv_sec, s.st_mtim.tv_nsec, (unsigned long long)s.st_ino, more);
}

bool collect_rows_changed(collector *c, const char *path, const char *more, bool *changed, err *e)
{
    char full[FILE_PATH_BYTES], stamp[128];
    if (!file_join(full, c->out, path, e)) return false;
    stamp_of(stamp, full, more);
    sqlite3_stmt *q = c->stamp_get;
    collect_rows_bind_text(q, 1, path);
    const char *known =
        sqlite3_step(q) == SQLITE_ROW ? (const char *)sqlite3_column_text(q, 0) : NULL;
    *changed = known ? strcmp(known, stamp) != 0 : strncmp(stamp, "absent", 6) != 0;
    sqlite3_reset(q);
    if (!*changed) return true;
    collect_rows_bind_text(c->stamp_set, 1, path);
    collect_rows_bind_text(c->stamp_set, 2, stamp);
    return collect_rows_put(c, c->stamp_set, e);
}
