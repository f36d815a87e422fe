/* How much memory a run takes: an estimate, until one of its variant was measured. */
#ifndef LOCI_HARNESS_RUN_MEMORY_H
#define LOCI_HARNESS_RUN_MEMORY_H

#include "harness/train/workload.h"

/* Bytes of anonymous memory with one thread: parameters, gradients, moments, the tape, what is
 * carried. cost: of the workload's model, guide included. */
double run_memory_estimate(const workload *w, const model_cost *cost);

#endif
