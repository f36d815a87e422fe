/* The database of results, OUT/loci.db: SQLite, one writer, any number of readers.
 *
 * Its content is made from the run folders by collect.h and can be made again from them at any
 * time. The schema is a public interface: results/README.md documents it, `user_version` numbers
 * it. The writer holds a lock (flock on OUT/loci.db.lock) and uses a rollback journal, which is
 * safe on network file systems, too; readers open read-only. */
#pragma once

#include <sqlite3.h>

#include "core/base/arena.h"

enum { STORE_VERSION = 21 }; /* user_version of the schema */

typedef struct store store;

/* Opens read-only. NULL and e if there is none ("nothing was collected yet"), or its schema is of
 * another version or not this program's (schema_check.h). */
store *store_open_reader(const char *out, err *e);

/* The writer's. Waits up to `seconds` for the lock: NULL with *busy true (may be NULL) if another
 * process holds it that long. Makes OUT, the file and the schema where they are missing. rebuild:
 * starts with an empty database, which takes the old one's place when store_close_writer commits;
 * so does an older schema, and one that is marked as stale (stale_mark.h). */
store *store_open_writer(const char *out, bool rebuild, double seconds, bool *busy, err *e);

/* The same for who may not write OUT: a copy of what is there, in no folder, to be brought up to
 * date by this process and gone when it is closed. A database that cannot be read counts as none.
 */
store *store_open_private(const char *out, err *e);
/* Commits a private one: from then on it is a reader. */
bool store_keep(store *s, err *e);

/* Commits (of a rebuild: replaces the old database), gives the lock back. */
bool store_close_writer(store *s, err *e);
/* Closes a reader; a writer's uncommitted changes are dropped. NULL is fine. */
void store_close(store *s);
#define store_auto store ENDS_BY(store_end) /* closed where its block ends */
void store_end(store **s);

sqlite3 *store_db(store *s);
/* Has anything that was asked of it failed? Then what was looked for may be there. */
bool store_failed(const store *s);
const char *store_path(const store *s); /* of the file */

/* A statement to step through; sqlite3_finalize it. NULL: e holds SQLite's message. */
sqlite3_stmt *store_prepare(store *s, const char *sql, err *e);
/* Runs statements that give no rows. */
bool store_exec(store *s, const char *sql, err *e);
/* err_set with the database's path and SQLite's message; false. */
bool store_err(store *s, const char *what, err *e);

/* SQL: tokens per second of a run r: over all its training; while that goes on, of late. */
#define STORE_RUN_SPEED                                                                            \
    "CASE WHEN r.status <> 'running' AND r.tokens > 0 AND r.train_seconds > 0 "                    \
    "THEN r.tokens / r.train_seconds ELSE r.tokens_per_second END"

/* SQL: `usual`, a table for WITH behind `asked (run)`: of each run and split the protocol that a
 * curve is of, by which it was evaluated at the most steps; else the final one's, and rather of a
 * model that learned nothing on the way. */
#define STORE_USUAL_PROTOCOL                                                                       \
    "usual AS (SELECT run, split, protocol FROM (SELECT g.run, g.split, g.protocol, "              \
    "row_number() OVER (PARTITION BY g.run, g.split ORDER BY count(DISTINCT g.step) DESC, "        \
    "g.protocol IS (SELECT f.protocol FROM evaluation f WHERE f.run = g.run AND f.final) DESC, "   \
    "g.protocol LIKE '%\"dynamic\":%', g.protocol) AS place FROM asked JOIN evaluation g "         \
    "USING (run) GROUP BY g.run, g.split, g.protocol) WHERE place = 1) "
