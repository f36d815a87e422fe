/* What a run's final evaluation will tell, and what there will be to inspect: claims about anything
 * else are refused before the run has begun. */
#pragma once

#include "harness/run/experiment.h"

/* Into the run's figures: has_bytes to distance, memories to states. w is the run, opened;
 * distances live in a. */
void run_figures_note(run_plan *run, const workload *w, arena *a);
