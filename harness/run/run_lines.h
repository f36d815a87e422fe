/* Files of JSON lines that grow while a run goes on. */
#pragma once

#include "core/base/json_line.h"

/* Keeps the lines of a .jsonl file for which keep() is true and drops a last line that is not
 * complete, and what is no JSON or no longer what was written; atomic. A missing file is fine. */
typedef bool (*line_keep)(void *user, const json_t *line);
bool run_lines_filter(const char *path, line_keep keep, void *user, err *e);
/* Appends one line as a single write. sync: to the disk. */
bool run_lines_append(const char *path, const char *line, size_t bytes, bool sync, err *e);
/* To the disk, sealed (core/base/json_line.h). */
bool run_lines_append_record(const char *path, const json_t *record, err *e);
