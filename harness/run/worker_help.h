/* What ranks other than 0 do: they wait for the runs that rank 0 works on (worker_run_with), and do
 * their part. They write nothing; folders and texts have to lie where they see them, too. */
#pragma once

#include "core/train/ranks.h"

/* Until they are let go: see worker_help_end. False and e if this rank, or another, cannot go on:
 * the group is to be ended. Signals that ask to stop are rank 0's to hear, and are ignored here. */
bool worker_help(rank_group *r, err *e);

/* On rank 0: lets them go. */
void worker_help_end(rank_group *r);
