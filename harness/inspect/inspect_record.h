/* An inspection as JSON lines in the run's folder. */
#pragma once

#include "harness/inspect/inspection.h"

/* Writes inspect/<part>.jsonl for every part into a run's folder, each atomically: a line that says
 * how it came about, then a line per figure, memory, expert, prefix ... (results/README.md). */
bool inspect_record(const inspection *x, const char *folder, err *e);
