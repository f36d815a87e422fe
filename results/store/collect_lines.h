/* The files of lines of a run folder into the database. */
#pragma once

#include "results/store/collect_rows.h"

/* metrics.jsonl, evals.jsonl. *fresh becomes true if one was read again. */
bool collect_lines_metrics(collector *c, const char *id, const char *folder, bool *fresh, err *e);
bool collect_lines_evals(collector *c, const char *id, const char *folder, bool *fresh, err *e);

/* Calls put for every complete line of the file in the run's folder. */
typedef bool (*collect_line)(collector *c, const char *id, const json_t *line, err *e);
bool collect_lines_each(collector *c, const char *id, const char *folder, const char *name,
                        collect_line put, err *e);
