/* Lines of an inspection's files: shared by experiments/inspect_record*.c only. */
#ifndef LOCI_EXPERIMENTS_INSPECT_LINES_H
#define LOCI_EXPERIMENTS_INSPECT_LINES_H

#include "core/base/file.h"
#include "harness/inspect/inspect_parts.h"

typedef struct record_out {
    const inspection *x;
    file_out file;
    arena *scratch; /* reset after each line */
} record_out;

/* Writes and decrefs. */
bool record_put(record_out *r, json_t *line, err *e);
json_t *record_token(record_out *r, int32_t id);
/* The text of a prefix, from its end. */
json_t *record_prefix(record_out *r, const prefixes *text, int64_t token);

/* The lines of these parts (inspect_record_reading.c). */
bool record_changes(record_out *r, err *e);
bool record_states(record_out *r, err *e);

#endif
