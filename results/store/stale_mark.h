/* OUT/loci.db.stale: run folders or records were removed, renamed or replaced, and the database may
 * not know. Whoever does so sets the mark before the first change; the next collection makes the
 * database anew and takes the mark away, however the change and its own collection ended. */
#pragma once

#include "core/base/base.h"

/* Sets it, and keeps collectors from taking it until the descriptor is closed: behind the last
 * change, before one's own collection. -1 and e (may be NULL): it cannot be made. */
int stale_mark_set(const char *out, err *e);

/* Is there one? */
bool stale_mark_stands(const char *out);

/* For the holder of the database's lock: a descriptor if there is a mark whose change has ended,
 * well or not; else -1, and one that goes on will be followed by a collection of its own. */
int stale_mark_claim(const char *out);

/* The new database is in place: takes away what was claimed. A mark that stays costs time alone. */
void stale_mark_clear(const char *out, int claimed);
