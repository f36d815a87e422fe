/* How long a run is: a budget in seconds becomes steps once, by measuring, and a run that is
 * continued reads what was found from length.json in its folder. */
#pragma once

#include "harness/train/trainer.h"

/* folder: the run's. Measuring trains for a tenth of the budget, ten seconds at most, and throws
 * that away. */
bool run_length_find(train_length *length, workload *w, const char *folder, int threads, err *e);
