/* Lines of an inspection's files: shared by experiments/inspect_record*.c only. */
#ifndef LOCI_HARNESS_INSPECT_LINES_H
#define LOCI_HARNESS_INSPECT_LINES_H

#include "core/base/file.h"
#include "harness/inspect/inspect_parts.h"

typedef struct record_lines {
    const inspection *x;
    file_out file;
    arena *scratch; /* reset after each line */
} record_lines;

/* Writes and decrefs. */
bool record_lines_put(record_lines *r, json_t *line, err *e);
json_t *record_lines_token(record_lines *r, int32_t id);
/* The text of a prefix, from its end. */
json_t *record_lines_prefix(record_lines *r, const prefixes *text, int64_t token);

/* The lines of these parts (inspect_record_reading.c). */
bool record_reading_changes(record_lines *r, err *e);
bool record_reading_states(record_lines *r, err *e);

#endif
