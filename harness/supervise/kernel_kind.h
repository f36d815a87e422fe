/* Runs that multiply by OpenBLAS (`train.gemm: openblas`) have the bits of the kernels that it
 * chooses by the processor. Those of an experiment are to have the same: the kind that the first of
 * them was begun with, on whatever machine. */
#pragma once

#include "harness/run/experiment.h"

/* What this run has to be begun with (OPENBLAS_CORETYPE), in the arena; *kind NULL: nothing, for
 * OpenBLAS does not multiply there, none was begun yet, or this process has that kind. False and e
 * where this processor has no such kernels: another machine's runs, and not to be begun here. */
bool kernel_kind_find(const char **kind, arena *a, const experiment *x, const run_plan *run,
                      const char *out, err *e);
