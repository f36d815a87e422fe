/* What a run folder says, read ahead of the database.
 *
 * Files are looked at, read and parsed here, by as many threads as help; what they say is put into
 * the database by one (collect_run.c). What is not read ahead, since it is large or no JSON, that
 * one reads himself, and tells what is wrong with it. */
#pragma once

#include "core/base/arena.h"
#include "core/base/file.h"
#include "core/base/json.h"

/* A file that has another stamp than when it was collected is read again. */
typedef struct file_stamp {
    char text[128];
    int64_t bytes;
    bool there;   /* also where that cannot be found out: whoever reads it is told why not */
    bool first;   /* nothing is known of it */
    bool changed; /* since it was collected */
} file_stamp;

/* known: {PATH: STAMP} of what was collected; path: below `out`. `more` becomes a part of it. */
bool file_stamp_look(file_stamp *s, const json_t *known, const char *out, const char *path,
                     const char *more, err *e);

enum { RUN_FILES = 15 };

typedef struct run_file {
    const char *name; /* in the run's folder; NULL: it was not looked at */
    file_stamp stamp;
    json_t *said; /* a list of its lines, if it is one of lines; NULL: not read ahead */
    bool cut;     /* the last line has no end yet, and is left out */
} run_file;

typedef struct run_reading {
    bool locked;
    run_file file[RUN_FILES];
    json_t *names;  /* {NAME: true} of what is in the folder; NULL: it was not listed */
    json_t *losses; /* {NAME: {"bytes": N, "sha256": TEXT}} of losses that its lines name */
} run_reading;

/* Into *r, which is zero or was read into before. room: bytes of files that may be read: what they
 * say takes ten times as many. Nothing of scratch is needed afterwards. */
void run_reading_read(run_reading *r, const json_t *known, const char *out, const char *id,
                      int64_t *room, arena *scratch);
void run_reading_end(run_reading *r); /* zero again */

/* The caller's {NAME: true}; NULL and e: it cannot be listed. */
json_t *run_reading_list(const char *folder, arena *scratch, err *e);

/* NULL: it was not looked at. */
const run_file *run_reading_file(const run_reading *r, const char *name);
