/* The machine's sgemm rate, measured in rounds, so that training can be timed between them: both
 * then see the same machine, whatever else it is doing. */
#ifndef LOCI_HARNESS_BENCH_GEMM_H
#define LOCI_HARNESS_BENCH_GEMM_H

#include "core/train/lanes.h"

typedef struct gemm_meter gemm_meter;

/* Matrices for products 2048 x 2048 x 2048, one per thread of the pool (borrowed). */
gemm_meter *gemm_meter_new(lanes *pool);
void gemm_meter_free(gemm_meter *m);

/* One product per thread, all threads at once: GFLOP/s of all together. */
double gemm_meter_round(gemm_meter *m);

#endif
