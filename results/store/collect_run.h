/* One run folder into the database: shared by collect.c, collect_run.c and collect_lines.c. */
#ifndef LOCI_RESULTS_COLLECT_RUN_H
#define LOCI_RESULTS_COLLECT_RUN_H

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

/* True with *fresh false if nothing changed since the folder was collected. e says what is
 * unreadable; the caller then rolls back what was done for this folder. */
bool collect_run(collector *c, const char *id, bool *fresh, err *e);

/* The folder's files of lines. *fresh becomes true if one was read again. */
bool collect_lines_metrics(collector *c, const char *id, const char *folder, bool *fresh, err *e);
bool collect_lines_evals(collector *c, const char *id, const char *folder, bool *fresh, err *e);
bool collect_inspect(collector *c, const char *id, const char *folder, bool *fresh, err *e);

/* Calls put for every complete line of the file. */
typedef bool (*collect_line)(collector *c, const char *id, const json_t *line, err *e);
bool collect_lines_each(collector *c, const char *id, const char *path, collect_line put, err *e);

/* The statement that puts or changes a row of the table `run`. */
const char *collect_run_sql(arena *a);

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
