/* Rows of a collection: what collect_run.c, collect_lines.c and collect_inspect.c write with. */
#ifndef LOCI_RESULTS_COLLECT_ROWS_H
#define LOCI_RESULTS_COLLECT_ROWS_H

#include "core/base/json.h"
#include "results/store/store.h"

/* A collection under way: the database and its statements, prepared once. */
typedef struct collector {
    store *db;
    const char *out;
    arena *scratch; /* reset for each folder */
    sqlite3_stmt *stamp_get, *stamp_set, *run, *library, *step, *metric, *evaluation, *document,
        *slice, *recall, *evaluation_metric, *artefact, *experiment, *plan, *axis;
    const char *part; /* of an inspection that is being read */
} collector;

/* Deletes the run's rows of a table for which the condition holds ("1": all). */
bool collect_rows_delete(collector *c, const char *table, const char *run, const char *where,
                         err *e);
bool collect_rows_artefact(collector *c, const char *id, const char *path, const char *kind,
                           const json_t *step, int64_t bytes, const char *hash, err *e);

/* Has the file below OUT another stamp than recorded? Then records it. `more` is added to it. */
bool collect_rows_changed(collector *c, const char *path, const char *more, bool *changed, err *e);

/* Binding by JSON value: NULL for null, missing or a value of another type. */
void collect_rows_bind_int(sqlite3_stmt *q, int at, const json_t *value);
void collect_rows_bind_real(sqlite3_stmt *q, int at, const json_t *value);
void collect_rows_bind_text(sqlite3_stmt *q, int at, const char *text);
/* Runs a statement without rows and makes it ready for the next values. */
bool collect_rows_put(collector *c, sqlite3_stmt *q, err *e);

#endif
