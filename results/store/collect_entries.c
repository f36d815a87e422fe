#include "results/store/collect_entries.h"

#include <stdio.h>
#include <string.h>

#include "core/base/crew.h"
#include "core/base/host.h"
#include "core/base/text.h"

/* Half of what it takes to bring in a run folder that is new is to read and parse its files, half
 * is the database. So entries come in batches: while one batch is put into the database, which is
 * one thread's at a time, the folders of the next are read by all others, and by this one when it
 * is done with its own. What is in the database does not depend on it: entries are put in the order
 * of their names, by their stamps as they were when they were read.
 *
 * An entry that cannot be read is taken back as a whole, its stamps too, which takes a savepoint.
 * To prepare one costs a tenth of bringing a run in, and seldom is one needed: there is one for a
 * batch, and only where an entry of it fails is all of it taken back and brought in again, each
 * entry with a savepoint of its own. */

enum {
    BATCH = 64,
    SLICE = 8, /* is read by one thread */
    SLICES = BATCH / SLICE,
    THREADS = 4,          /* at most: there is one who puts what the others read */
    SLICE_BYTES = 1 << 20 /* of files; larger ones are read when they are put */
};

typedef struct batches {
    collector *c;
    collect_entries *x;
    const char *const *names; /* [count] */
    int64_t count;
    int64_t put, read;    /* the first of the batch that is put, and of the one that is read */
    run_reading *reading; /* [2 * BATCH]: entry i in i % (2 * BATCH); NULL: nothing is read ahead */
    bool ok;              /* the database can be written */
    err *e;
} batches;

static run_reading *reading_of(const batches *b, int64_t entry)
{
    return b->reading ? &b->reading[entry % (2 * BATCH)] : NULL;
}

/* False and why: it cannot be read. */
static bool put_entry(const batches *b, collect_entries *x, int64_t entry, err *why)
{
    bool fresh = false;
    b->c->damage[0] = 0;
    b->c->reading = reading_of(b, entry);
    if (!x->one(b->c, b->names[entry], &fresh, why)) return false;
    x->seen++;
    x->fresh += fresh;
    if (b->c->damage[0] && x->unreadable++ == 0)
        snprintf(x->why, sizeof x->why, "%s", b->c->damage);
    return true;
}

/* False only if the database cannot be written. */
static bool put_alone(const batches *b, int64_t entry)
{
    collect_entries *x = b->x;
    store *db = b->c->db;
    err why = {0};
    if (!store_exec(db, "SAVEPOINT entry", b->e)) return false;
    if (put_entry(b, x, entry, &why)) return store_exec(db, "RELEASE entry", b->e);
    x->seen++;
    if (x->unreadable++ == 0) snprintf(x->why, sizeof x->why, "%s", why.text);
    /* A disk that is full or fails, or a database that may not be written, is not the entry's
     * fault: it would be so for each of them, and the collection ends. All else is what the
     * folder's files say. */
    int code = sqlite3_errcode(store_db(db)) & 0xff;
    if (code == SQLITE_FULL || code == SQLITE_IOERR || code == SQLITE_READONLY) {
        return err_copy(b->e, &why);
    }
    return store_exec(db, "ROLLBACK TO entry; RELEASE entry", b->e);
}

static bool put_batch(const batches *b)
{
    int64_t end = MIN(b->put + BATCH, b->count);
    collect_entries counted = *b->x;
    bool ok = true;
    err why = {0};
    if (!store_exec(b->c->db, "SAVEPOINT batch", b->e)) return false;
    for (int64_t i = b->put; ok && i < end; i++) {
        ok = put_entry(b, &counted, i, &why);
    }
    ok = ok && collect_rows_flush(b->c, &why);
    if (ok) {
        *b->x = counted;
        return store_exec(b->c->db, "RELEASE batch", b->e);
    }
    /* What waits goes with it, and each row is put at once now: what is wrong is told of the line
     * that it stands in. */
    collect_rows_drop(b->c);
    /* On a full disk SQLite takes the whole transaction back, the savepoint too. */
    if (!store_exec(b->c->db, "ROLLBACK TO batch; RELEASE batch", NULL)) {
        return err_copy(b->e, &why);
    }
    ok = b->c->at_once = true;
    for (int64_t i = b->put; ok && i < end; i++) {
        ok = put_alone(b, i);
    }
    b->c->at_once = false;
    return ok;
}

/* The first part is the longest, so that it is begun first. */
static void do_part(void *arg, int part)
{
    batches *b = arg;
    if (part == 0) {
        if (b->put >= 0) b->ok = put_batch(b);
        return;
    }
    arena_auto *scratch = arena_new(1 << 12);
    int64_t begin = b->read + (int64_t)(part - 1) * SLICE, room = SLICE_BYTES;
    for (int64_t i = begin; i < MIN(begin + SLICE, b->count); i++) {
        run_reading_read(reading_of(b, i), b->c->known, b->c->out, b->names[i], &room, scratch);
    }
}

static bool put_all(batches *b)
{
    /* Not for a few, whose reading takes no longer than threads take to start. Without threads, one
     * after the other. */
    bool many = b->reading && b->count > BATCH && crew_hands() == 1;
    crew *helpers = many ? crew_new(MIN(host_cores(), THREADS), NULL) : NULL;
    if (helpers) crew_help(helpers);
    for (b->put = b->reading ? -BATCH : 0; b->ok && b->put < b->count; b->put += BATCH) {
        b->read = b->put + BATCH;
        crew_run(do_part, b, 1 + (b->reading ? SLICES : 0));
    }
    if (helpers) crew_help(NULL);
    crew_free(helpers);
    for (int i = 0; b->reading && i < 2 * BATCH; i++) {
        run_reading_end(&b->reading[i]);
    }
    return b->ok;
}

/* Not of the system it was copied by: .DS_Store, ._NAME.json. */
static bool is_meant(const collect_entries *x, const char *name)
{
    return name[0] != '.' && (!*x->suffix || text_ends(name, x->suffix));
}

bool collect_entries_all(collector *c, collect_entries *x, err *e)
{
    char path[FILE_PATH_BYTES];
    if (!file_join(path, c->out, x->folder, e)) return false;
    if (!file_is_folder(path)) return true;
    arena_auto *memory = arena_new(1 << 16);
    const char *const *names;
    int64_t count;
    if (!file_list(path, memory, &names, &count, e)) return false;
    const char **meant = ARENA_NEW(memory, const char *, count);
    batches b = {.c = c, .x = x, .names = meant, .ok = true, .e = e};
    for (int64_t i = 0; i < count; i++) {
        if (is_meant(x, names[i])) meant[b.count++] = names[i];
    }
    if (x->runs) b.reading = arena_push_zero(memory, 2 * BATCH, sizeof *b.reading);
    return put_all(&b);
}
