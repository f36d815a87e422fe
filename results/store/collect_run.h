/* One run folder into the database. */
#pragma once

#include "results/store/collect_rows.h"

/* c->reading: of this folder. True with *fresh false if nothing changed since the folder was
 * collected. e says what is unreadable; the caller then rolls back what was done for this folder.
 */
bool collect_run(collector *c, const char *id, bool *fresh, err *e);
