/* What was found by looking into a model, inspect/PART.jsonl of a run folder, into the database. */
#pragma once

#include "results/store/collect_rows.h"

/* What a run folder may have found: "keys", "values" ...; NULL-terminated. */
extern const char *const COLLECT_INSPECT_PARTS[];

/* *fresh becomes true if a part was read again. */
bool collect_inspect(collector *c, const char *id, const char *folder, bool *fresh, err *e);
/* All that is there of a run. */
bool collect_inspect_forget(collector *c, const char *id, err *e);
