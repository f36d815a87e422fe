/* How much memory a run takes: an estimate, until one of its variant was measured. */
#pragma once

#include "harness/train/workload.h"

/* Bytes of anonymous memory with one thread: parameters, gradients, moments, the tape, what is
 * carried, and what an evaluation has beside that. cost: of the workload's model, guide included.
 */
double run_memory_estimate(const workload *w, const model_cost *cost);
/* What each further thread takes, of as many as there are lanes. */
double run_memory_thread(const workload *w, const model_cost *cost);
