/* Rows of a collection: what collect.c, collect_run.c, collect_lines.c and collect_inspect.c write
 * with.
 *
 * A table's columns and their types are asked of the database: the schema says them once. A row is
 * made of values by the column's name and of a JSON object whose keys are called like columns:
 *
 *   collect_table *t = collect_rows_table(c, "step", e);
 *   collect_rows_object(t, line);
 *   collect_rows_text(t, "run", id);
 *   return collect_rows_put(c, t, e);
 *
 * Values stay for the next row until they are set again; texts are borrowed until the row is put.
 * Rows wait for others of their table: collect_rows_flush, a change of the table, or as many as
 * have room puts them into the database. */
#pragma once

#include "results/store/pending.h"
#include "results/store/run_damage.h"
#include "results/store/run_reading.h"
#include "results/store/store.h"

enum { COLLECT_TABLES = 32, COLLECT_COLUMNS = 64 };

typedef struct collect_table {
    const char *name;
    sqlite3_stmt *add, *put; /* rows that are new; those that may be there */
    pending waiting;
    pending_cell *row; /* [count] the one that is made */
    arena *scratch;    /* the collector's: texts of objects and lists in it */
    int count, at;     /* columns; the one set last: the next is looked for behind it */
    struct {
        const char *name, *type;
        bool key; /* a part of it */
    } column[COLLECT_COLUMNS];
} collect_table;

/* A statement that changes or asks, as it was said. */
typedef struct collect_change {
    const char *sql;
    sqlite3_stmt *statement;
    struct collect_change *next;
} collect_change;

/* A collection under way: the database, and the tables written so far with their statements. */
typedef struct collector {
    store *db;
    const char *out;
    arena *memory;               /* of the collection */
    arena *scratch;              /* reset for each folder */
    const char *part;            /* of the inspection that is being read */
    char damage[ERR_TEXT_BYTES]; /* of the entry that was read last; "": none */
    err *skipped; /* set to the first damaged line, and each is left out; NULL: it is an error */
    run_damage_lines *lines;    /* counts the lines that are read; NULL: nobody does */
    run_damage_own own;         /* evaluations of the run that is read */
    bool there, first;          /* of the file that was asked about last: it is; nothing is known */
    json_t *known;              /* {PATH: STAMP} of all files that were ever collected */
    const run_reading *reading; /* of the run that is put */
    collect_change *changes;
    bool at_once; /* no row waits: an error is of the row that is put */
    int tables;
    collect_table *table[COLLECT_TABLES];
} collector;

/* A row of the table, all its columns NULL. NULL and e if there is no such table: then the
 * functions below do nothing, and collect_rows_put is false. */
collect_table *collect_rows_table(collector *c, const char *name, err *e);
void collect_rows_text(collect_table *t, const char *column, const char *text); /* NULL: NULL */
void collect_rows_int(collect_table *t, const char *column, int64_t value);
/* By the column's type: NULL for null, missing or a value of another type. An object or list is
 * kept as its text. */
void collect_rows_value(collect_table *t, const char *column, const json_t *value);
/* Every column that the object has a key of. */
void collect_rows_object(collect_table *t, const json_t *object);
bool collect_rows_put(collector *c, collect_table *t, err *e);
/* Puts all rows that wait, or forgets them. */
bool collect_rows_flush(collector *c, err *e);
void collect_rows_drop(collector *c);

/* Runs a statement that gives no rows, with ?1 and ?2 (NULL: it has none). */
bool collect_rows_change(collector *c, const char *sql, const char *first, const char *second,
                         err *e);
/* The first column of the first row, a text that lives as long as the folder is read; NULL: there
 * is none. */
bool collect_rows_ask(collector *c, const char **answer, const char *sql, const char *first,
                      const char *second, err *e);
/* Deletes the run's rows of a table for which the condition holds ("1": all). */
bool collect_rows_delete(collector *c, const char *table, const char *run, const char *where,
                         err *e);
/* What belongs to an experiment or an evaluation: of those whose key is `which`, "= ?1". */
bool collect_rows_delete_inner(collector *c, const char *owner, const char *which, const char *key,
                               err *e);
bool collect_rows_delete_evaluations(collector *c, const char *run,
                                     err *e); /* with all of theirs */
bool collect_rows_artefact(collector *c, const char *id, const char *path, const char *kind,
                           const json_t *step, int64_t bytes, const char *hash, err *e);

/* Has the file below OUT another stamp than recorded? Then records it. */
bool collect_rows_changed(collector *c, const char *path, bool *changed, err *e);
/* Has a file read again the next time, whatever its stamp is then: of something that it names only
 * a part could be read, which a passing fault may be the reason of. */
bool collect_rows_again(collector *c, const char *path, err *e);
/* What the file of the run that is put says, the caller's; NULL: it was not read ahead. */
json_t *collect_rows_said(const collector *c, const char *name);

/* Fills c->known. */
bool collect_rows_begin(collector *c, err *e);
/* Gives all statements back, and what is known. */
void collect_rows_end(collector *c);
