/* How many multiply-adds the processor can do at all: loops of independent ones in registers, that
 * read no memory. What a library reaches is less, and another share of it on every machine; so
 * training is compared with both. Measured in rounds, between those of training. */
#pragma once

#include "core/train/lanes.h"

typedef enum peak_kind {
    PEAK_FLOAT32,  /* the widest vectors: AVX-512, AVX2, or what the compiler makes of 16 bytes */
    PEAK_BFLOAT16, /* vdpbf16ps: two products added to a float32 each */
    PEAK_TILES,    /* the same operands in AMX's tiles */
    PEAK_KINDS
} peak_kind;

/* A few milliseconds on every thread of the pool at once: GFLOP/s of all together, a multiply-add
 * as two. NaN: the processor has no such instruction. */
double bench_peak_round(lanes *pool, peak_kind kind);
