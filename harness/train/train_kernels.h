/* What a run multiplies matrices with: `train.gemm` and `train.precision`.
 *
 *   precision  gemm      layers' products             all else (core/README.md)
 *   float32    own       GEMM_FLOAT32                 GEMM_FLOAT32
 *   float32    openblas  OpenBLAS                     OpenBLAS
 *   bfloat16   own       GEMM_BFLOAT16                GEMM_FLOAT32
 *   bfloat16   tiles     GEMM_TILES                   GEMM_FLOAT32
 *
 * Each is one order of additions (core/ops/gemm.h), whatever the processor: what is fastest on one
 * is never chosen where it would change a bit. */
#pragma once

#include "core/ops/tape.h"
#include "harness/train/train_options.h"

/* Of the spec's `train`, which may be NULL and whose other options are not looked at. */
bool train_kernels_read(tape_kernels *k, const node *train, arena *a, err *e);

/* The same for a trained model that is used at another precision: where its `gemm` does not serve
 * that, kernels of our own do. */
bool train_kernels_at(tape_kernels *k, const node *train, const char *precision, arena *a, err *e);

/* What multiplied in runs whose record does not say so: they are older than the choice. */
#define TRAIN_KERNELS_UNSAID "openblas"

/* Completes the spec of a trained model, which says what it was trained with. */
void train_kernels_complete(node *spec, arena *a);

/* Which instructions serve the layers' products here, for the record of a run. */
const char *train_kernels_name(const train_options *o);
