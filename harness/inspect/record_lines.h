/* Lines of an inspection's files. */
#pragma once

#include "core/base/file.h"
#include "core/base/json.h"
#include "harness/inspect/inspection.h"

typedef struct record_lines {
    const inspection *x;
    file_out file;
    arena *scratch; /* reset after each line */
} record_lines;

/* Writes and decrefs. NULL, which is what json_pack makes of a number that is none, is an error of
 * the model's weights. */
bool record_lines_put(record_lines *r, json_t *line, err *e);

json_t *record_lines_token(record_lines *r, int32_t id);

/* The text of a prefix, from its end. */
json_t *record_lines_prefix(record_lines *r, const prefixes *text, int64_t token);
