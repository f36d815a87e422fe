/* What the machine's own sgemm reaches: square products, one per thread, all threads at once.
 * Measured in rounds between steps of training: both then see the same machine, whatever else it is
 * doing. */
#pragma once

#include "core/train/lanes.h"

typedef struct bench_gemm bench_gemm;

/* Takes some rounds that are thrown away: they touch the matrices and find the size. NULL is fine
 * to free. */
bench_gemm *bench_gemm_new(lanes *pool);
void bench_gemm_free(bench_gemm *m);

/* Rows and columns: 2048, less where a processor would take seconds for that. */
int64_t bench_gemm_size(const bench_gemm *m);

/* A round: GFLOP/s of all threads together. */
double bench_gemm_round(bench_gemm *m);

/* The size to try after one whose round took so long; the same: it is the one. */
int64_t bench_gemm_next_size(int64_t size, double seconds);
