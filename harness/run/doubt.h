/* What a spec says that can be run and is hardly meant: worth a warning before hours are spent. */
#pragma once

#include "harness/train/workload.h"

/* One sentence that begins with the place, in the arena, or NULL:
 *   a warm-up that takes more than half of the run (a budget in seconds has no length yet). */
const char *doubt_of(arena *a, const workload *w);
