/* Files of JSON lines that grow while a run goes on. */
#pragma once

#include "core/base/json_line.h"

/* Keeps the lines of a .jsonl file for which keep() is true and drops a last line that is not
 * complete; atomic. A missing file is fine. What is no JSON, or no longer what was written, stays
 * where one that is kept follows: it shows that something is missing there. damaged (may be NULL):
 * the number of the first such line, dropped or not, so that it is told; 0: none. */
typedef bool (*line_keep)(void *user, const json_t *line);
bool run_lines_filter(const char *path, line_keep keep, void *user, int64_t *damaged, err *e);
/* Appends a line that is damaged to every reader: others have stood there. */
bool run_lines_mark_lost(const char *path, err *e);
/* Shows every whole line to look(), whose answer does not count. Nothing goes but a last line that
 * is not complete: others may be appended. */
bool run_lines_each(const char *path, line_keep look, void *user, err *e);
/* The same, and the file stays as it is. */
bool run_lines_look(const char *path, line_keep look, void *user, err *e);
/* Appends one line as a single write. sync: to the disk. */
bool run_lines_append(const char *path, const char *line, size_t bytes, bool sync, err *e);
/* To the disk, sealed (core/base/json_line.h). */
bool run_lines_append_record(const char *path, const json_t *record, err *e);
