/* What the benchmark of one variant (bench.c) and that of several (bench_compare.c) share. */
#ifndef LOCI_HARNESS_BENCH_PARTS_H
#define LOCI_HARNESS_BENCH_PARTS_H

#include "harness/train/trainer.h"

/* A training step; diverging is an error here. */
bool bench_step(trainer *t, train_report *r, err *e);

/* Tokens per second of evaluating the first four contexts per row with the trainer's values; left
 * as it is where the corpus has no such split. */
bool bench_evaluate(double *tokens_per_second, workload *w, trainer *t, err *e);

/* Of all threads' tapes: bytes and number of mappings. */
int64_t bench_tape_bytes(trainer *t);
int64_t bench_tape_maps(trainer *t);

#endif
