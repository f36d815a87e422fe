/* What a spec says that can be run and is hardly meant: worth a warning before hours are spent. */
#pragma once

#include "harness/train/workload.h"

/* One sentence that begins with the place, in the arena, or NULL; the first of
 *   more rows than the training text has spans: some read the same text at the same time, so that
 *     a larger batch is the smaller one again;
 *   several seeds of what is not trained and taken as a whole from one model: they are that model;
 *   a warm-up that takes more than half of the run (a budget in seconds has no length yet). */
const char *doubt_of(arena *a, const workload *w, int seeds);
