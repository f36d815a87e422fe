/* What was asked of a finished run elsewhere, where the run itself is here already. */
#pragma once

#include "core/base/base.h"

/* Adds evaluations by `loci eval` that are there and not here, and a speed that was measured alone
 * where none is here. Only of the very model that is here, of two runs that were trained to the
 * same step, their `end` (merge_run_choose; -1: nothing is done). *added: how many evaluations.
 * Ours is locked meanwhile; nothing where somebody works on it. */
bool merge_evals(int *added, const char *theirs, const char *ours, int64_t end, err *e);
/* The same without the lock: of a folder that nobody else knows yet. */
bool merge_evals_into(int *added, const char *theirs, const char *ours, int64_t end, err *e);
