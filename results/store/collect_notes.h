/* Notes and tags (harness/run/notes.h) into the database. */
#pragma once

#include "results/store/collect_rows.h"

/* The file below OUT, of an experiment or of a run (the other is ""). *fresh becomes true if it was
 * read again. What is no note is left out, and told as damage: no result is lost by it. */
bool collect_notes(collector *c, const char *experiment, const char *run, const char *inner,
                   bool *fresh, err *e);
