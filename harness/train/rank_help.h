/* What a rank other than 0 does for a run that is open: it answers rank 0's trainer and
 * checkpoints, until the run is closed. */
#pragma once

#include "harness/train/workload.h"

/* False and e if it cannot go on, and neither can the others. */
bool rank_help_run(workload *w, err *e);
