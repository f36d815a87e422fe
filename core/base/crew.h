/* Threads that help one other inside what it does: a product of one document's text, which lanes
 * (lanes.h) have no second row for. Work is given out in parts that do not depend on each other, so
 * that who does which changes no bit.
 *
 * Helpers wait awake for a moment after each work, since the next comes within microseconds, and
 * then sleep. */
#pragma once

#include "core/base/base.h"

typedef struct crew crew;
typedef void (*crew_fn)(void *arg, int part);

/* threads: with the one that is helped, so that `threads - 1` are started. */
crew *crew_new(int threads, err *e);
void crew_free(crew *c);

/* Who helps the calling thread from here on; NULL: nobody. A crew helps one thread at a time. */
void crew_help(crew *c);
/* Threads that crew_run would use now: 1 without help, and inside of one of several parts. */
int crew_hands(void);

enum { CREW_PARTS = 1 << 15 };

/* fn(arg, part) for all parts [0, parts), CREW_PARTS at most; returns when all are done. */
void crew_run(crew_fn fn, void *arg, int parts);
