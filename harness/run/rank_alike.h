/* Ranks compute parts of one result, and each makes the optimiser's whole step: what its bits
 * depend on has to be the same on all. Asked with words of one size, whatever program says them. */
#pragma once

#include "harness/run/run_record.h"

/* Programs: before anything else is sent, as sizes of messages hang on them. True on all ranks, or
 * false on all, with the rank, its machine and what differs from rank 0's. */
bool rank_alike_programs(rank_group *r, err *e);

/* The same of an open run: its plan, its text, the model that it starts from, kernels of a library
 * that chooses them by the processor. */
bool rank_alike_run(rank_group *r, const workload *w, const planned_run *p, err *e);
