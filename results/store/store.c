#include "results/store/store.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/file_lock.h"
#include "core/base/host.h"
#include "results/store/schema.h"
#include "results/store/schema_check.h"
#include "results/store/stale_mark.h"
#include "results/store/store_vfs.h"

/* One writer at a time, by a lock beside the database rather than SQLite's own: it is held from
 * before the run folders are looked at until the commit, so that two collectors cannot both read
 * the same changes. Readers take no part in it. They see the last commit, and wait for SQLite's
 * lock only while a commit is written.
 *
 * A rebuild never touches the database that is there: it fills a file beside it, which is renamed
 * over the old one when it is whole. A reader that has the old one open reads on in it. */

/* Longer than any commit takes. */
enum { READER_WAIT_MS = 10000 };

struct store {
    sqlite3 *db;
    int lock; /* the writer's; -1: a reader */
    int mark; /* stale_mark_claim's */
    bool rebuild, failed;
    char out[FILE_PATH_BYTES];    /* the folder of results */
    char path[FILE_PATH_BYTES];   /* of the database as readers know it */
    char opened[FILE_PATH_BYTES]; /* of the file that is open */
};

sqlite3 *store_db(store *s)
{
    return s->db;
}

bool store_failed(const store *s)
{
    return s->failed;
}

const char *store_path(const store *s)
{
    return s->path;
}

/* The path of the file that is open, which in a rebuild is not the one that readers know. */
bool store_err(store *s, const char *what, err *e)
{
    /* Read before anything else is asked of SQLite, which would overwrite it. */
    int code = sqlite3_errcode(s->db);
    s->failed = true;
    /* That it cannot be opened is its journal's fault: it is there, and has been opened. */
    bool broken = code == SQLITE_CORRUPT || code == SQLITE_NOTADB || code == SQLITE_CANTOPEN;
    const char *remedy = broken                ? " (loci collect --rebuild makes it again)"
                         : code == SQLITE_FULL ? "; make room"
                                               : "";
    return err_set(e, "%s: %s: %s%s", s->opened[0] ? s->opened : s->path, what,
                   sqlite3_errmsg(s->db), remedy);
}

bool store_exec(store *s, const char *sql, err *e)
{
    return sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK ||
           store_err(s, "cannot be changed", e);
}

sqlite3_stmt *store_prepare(store *s, const char *sql, err *e)
{
    sqlite3_stmt *q = NULL;
    if (sqlite3_prepare_v2(s->db, sql, -1, &q, NULL) == SQLITE_OK) return q;
    store_err(s, "cannot be asked", e);
    return NULL;
}

/* The only memory of its own that a store has; SQLite owns the rest. */
static store *store_new(const char *out, err *e)
{
    store *s = calloc(1, sizeof *s);
    if (!s) return err_set(e, "%s: no memory to open the database", out), NULL;
    s->lock = s->mark = -1;
    if (file_join(s->path, out, "loci.db", e)) {
        snprintf(s->out, sizeof s->out, "%s", out); /* shorter than the path */
        memcpy(s->opened, s->path, sizeof s->opened);
        return s;
    }
    free(s);
    return NULL;
}

void store_close(store *s)
{
    if (!s) return;
    /* Rolls back what was not committed. Only then the lock goes, or another writer would meet a
     * journal that is being rolled back. */
    sqlite3_close(s->db);
    if (s->mark >= 0) close(s->mark);
    if (s->lock >= 0) close(s->lock);
    free(s);
}

void store_end(store **s)
{
    store_close(*s);
}

/* For `return close_failed(s)`: NULL is what every failed opening gives. */
static store *close_failed(store *s)
{
    store_close(s);
    return NULL;
}

static bool open_file(store *s, int flags, err *e)
{
    /* Its account of memory, which nobody asks for, takes a lock for each value that is put: a
     * twelfth of a collection. Refused behind the first opening, when it is already so. */
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    /* A connection is one thread's alone. */
    if (sqlite3_open_v2(s->opened, &s->db, flags | SQLITE_OPEN_NOMUTEX, store_vfs()) != SQLITE_OK) {
        return s->db ? store_err(s, "cannot be opened", e)
                     : err_set(e, "%s: no memory to open it", s->opened);
    }
    /* Set on every connection: without it a reader that meets a commit fails at once. */
    sqlite3_busy_timeout(s->db, READER_WAIT_MS);
    return true;
}

/* SQLite gives a new file 0644 whatever the umask allows, and a journal its database's mode: in a
 * folder that a group shares, the others of it could not write. */
static bool make_file(const store *s, err *e)
{
    int file = file_open_own(s->opened, O_RDWR, e);
    if (file >= 0) close(file);
    return file >= 0;
}

/* user_version; -1 and e if the file cannot be read as a database. The first thing that is read of
 * a file, so it is here that one which is no database shows. */
static int version_of(store *s, err *e)
{
    sqlite3_stmt *q = store_prepare(s, "PRAGMA user_version", e);
    int version = -1;
    if (q && sqlite3_step(q) == SQLITE_ROW) {
        version = sqlite3_column_int(q, 0);
    } else if (q) {
        store_err(s, "cannot be read", e);
    }
    sqlite3_finalize(q);
    return version;
}

/* 0 is an empty file, which some process is about to fill or died over: a reader finds nothing in
 * it. */
static bool check_version(store *s, int version, err *e)
{
    if (version == STORE_VERSION) return schema_check(s->db, version, s->path, e);
    if (version > STORE_VERSION) {
        return err_set(e,
                       "%s: its schema is of version %d, this program knows %d; use a newer loci",
                       s->path, version, STORE_VERSION);
    }
    return version >= 0 &&
           err_set(e,
                   "%s: its schema is of version %d, this program writes %d; run loci collect "
                   "--rebuild",
                   s->path, version, STORE_VERSION);
}

/* Read-only by SQLite's own flag, so that a mistake in a question cannot change what it asks. */
store *store_open_reader(const char *out, err *e)
{
    store *s = store_new(out, e);
    if (!s) return NULL;
    if (!file_exists(s->path)) {
        err_set(e, "%s: is not there yet; loci run makes results, loci collect brings them in",
                s->path);
        return close_failed(s);
    }
    if (!open_file(s, SQLITE_OPEN_READONLY, e) || !check_version(s, version_of(s, e), e)) {
        return close_failed(s);
    }
    return s;
}

/* ---- the writer ---- */

static void pause_ms(int ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (ms % 1000) * 1000000L};
    nanosleep(&t, NULL);
}

static bool take_lock(store *s, double seconds, bool *busy, err *e)
{
    char path[FILE_PATH_BYTES + 8];
    /* A file of its own: closing any descriptor of the database in this process would drop SQLite's
     * locks on it (POSIX locks belong to the process and the file). */
    snprintf(path, sizeof path, "%s.lock", s->path);
    double until = host_monotonic_s() + seconds;
    /* flock cannot wait with a limit; alarms would be felt by all of the process. */
    while ((s->lock = file_lock(path, LOCK_EX | LOCK_NB, e)) == FILE_LOCK_BUSY) {
        if (host_monotonic_s() >= until) {
            if (busy) *busy = true;
            return err_set(e, "%s: another process is collecting; try again later", path);
        }
        pause_ms(20);
    }
    return s->lock >= 0;
}

/* A fresh database beside the old one. A rebuild that was killed may have left one, with a journal
 * that SQLite would roll back into ours. */
static bool start_rebuild(store *s, err *e)
{
    int n = snprintf(s->opened, sizeof s->opened, "%s.new", s->path);
    if (n >= (int)sizeof s->opened) return err_set(e, "%s: path is too long", s->path);
    char journal[FILE_PATH_BYTES + 16];
    snprintf(journal, sizeof journal, "%s-journal", s->opened);
    return file_remove(s->opened, e) && file_remove(journal, e);
}

/* An older program's: nothing is in it that the run folders do not say. It opens a connection of
 * its own and closes it again: what is wrong with the file is for open_writing to say, which opens
 * it to stay. */
static bool is_older(store *s)
{
    sqlite3_stmt *q;
    int version = 0;
    if (!file_exists(s->path) ||
        sqlite3_open_v2(s->path, &s->db, SQLITE_OPEN_READONLY, store_vfs()) != SQLITE_OK ||
        sqlite3_prepare_v2(s->db, "PRAGMA user_version", -1, &q, NULL) != SQLITE_OK) {
        q = NULL;
    }
    if (q && sqlite3_step(q) == SQLITE_ROW) version = sqlite3_column_int(q, 0);
    sqlite3_finalize(q);
    sqlite3_close(s->db);
    s->db = NULL;
    return version > 0 && version < STORE_VERSION;
}

/* An empty file gets its tables. The transaction that is begun here is ended by store_close_writer
 * or store_keep, and by nothing else: a collection is seen whole or not at all. */
static bool begin_writing(store *s, err *e)
{
    /* Whatever SQLite was built with: collect_rows.c deletes what belongs to a row by itself. */
    if (!store_exec(s, "PRAGMA foreign_keys = OFF", e)) return false;
    int version = version_of(s, e);
    /* IMMEDIATE takes the write lock at the beginning, not at the first change, where waiting is no
     * longer possible without giving up what was read. */
    if (version != 0) return check_version(s, version, e) && store_exec(s, "BEGIN IMMEDIATE", e);
    if (!schema_check(s->db, 0, s->path, e)) return false;
    char stamp[64];
    snprintf(stamp, sizeof stamp, "PRAGMA user_version = %d", STORE_VERSION);
    /* Tables and version are one transaction: who finds a version finds all tables. */
    bool ok = store_exec(s, "BEGIN IMMEDIATE", e);
    for (int i = 0; ok && SCHEMA[i]; i++) {
        ok = store_exec(s, SCHEMA[i], e);
    }
    return ok && store_exec(s, stamp, e);
}

static bool open_writing(store *s, err *e)
{
    /* A rollback journal: Debian 12's SQLite is in the range of the WAL-reset bug, and WAL does not
     * work on network file systems.
     * What a savepoint keeps of each page for its own undoing stays in memory, and so do changed
     * pages until the commit: with SQLite's 2 MB of cache a collection of many runs writes them
     * some hundred times. */
    return make_file(s, e) && open_file(s, SQLITE_OPEN_READWRITE, e) &&
           store_exec(s, "PRAGMA journal_mode = DELETE", e) &&
           store_exec(s, "PRAGMA temp_store = MEMORY", e) &&
           store_exec(s, "PRAGMA cache_size = -65536", e) && begin_writing(s, e);
}

store *store_open_writer(const char *out, bool rebuild, double seconds, bool *busy, err *e)
{
    if (busy) *busy = false;
    if (!file_make_folders(out, e)) return NULL;
    store *s = store_new(out, e);
    if (!s) return NULL;
    if (!take_lock(s, seconds, busy, e)) return close_failed(s);
    /* Under the lock: a newer program may just have made it again. */
    s->mark = stale_mark_claim(out);
    s->rebuild = rebuild || s->mark >= 0 || is_older(s);
    if ((s->rebuild && !start_rebuild(s, e)) || !open_writing(s, e)) return close_failed(s);
    return s;
}

/* What is in the database, into the private one that s has open. One that is older, newer, damaged
 * or stale is not copied: everything is then read from the folders. */
static bool copy_into(store *s, const char *out)
{
    if (stale_mark_stands(out)) return false;
    store_auto *from = store_open_reader(out, NULL);
    sqlite3_backup *b = from ? sqlite3_backup_init(s->db, "main", from->db, "main") : NULL;
    /* All pages at once, under one read lock: the copy is of one commit. */
    if (b) sqlite3_backup_step(b, -1);
    return b && sqlite3_backup_finish(b) == SQLITE_OK;
}

/* SQLite keeps a database without a name in memory, and what is too large in a temporary file. */
static bool open_nameless(store *s, err *e)
{
    sqlite3_close(s->db);
    s->db = NULL;
    s->opened[0] = 0;
    return open_file(s, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, e);
}

/* Its schema is always this program's, whatever the file's was. */
store *store_open_private(const char *out, err *e)
{
    store *s = store_new(out, e);
    if (!s || !open_nameless(s, e)) return close_failed(s);
    if (!copy_into(s, out) && !open_nameless(s, e)) return close_failed(s);
    return begin_writing(s, e) ? s : close_failed(s);
}

/* Without it the collection would stay an open transaction, and reading within one sees its changes
 * as well; with it a later failure cannot take them back. */
bool store_keep(store *s, err *e)
{
    return store_exec(s, "COMMIT", e);
}

/* The old database's journal must not be rolled back into the new one. Closed before it is renamed:
 * SQLite must not have a file open that changes its name. */
static bool finish_rebuild(store *s, err *e)
{
    char journal[FILE_PATH_BYTES + 16];
    snprintf(journal, sizeof journal, "%s-journal", s->path);
    sqlite3_close(s->db);
    s->db = NULL;
    if (!file_remove(journal, e) || !file_rename(s->opened, s->path, e)) return false;
    stale_mark_clear(s->out, s->mark);
    s->mark = -1;
    return true;
}

bool store_close_writer(store *s, err *e)
{
    /* The new database takes its place while the lock is still held. */
    bool ok = store_exec(s, "COMMIT", e) && (!s->rebuild || finish_rebuild(s, e));
    store_close(s);
    return ok;
}
