/* The kernels, one file per instruction set: see gemm_kernel.h. */
#pragma once

#include "core/ops/gemm_kernel.h"

/* gemm_plain.c: loops that a compiler vectorises for what it is asked to build for (x86-64-v3). */
extern const gemm_kernel GEMM_PLAIN_FLOAT32, GEMM_PLAIN_BFLOAT16, GEMM_PLAIN_TILES;

#if defined(__x86_64__)
/* gemm_avx512.c */
extern const gemm_kernel GEMM_AVX512_FLOAT32, GEMM_AVX512_BFLOAT16, GEMM_AVX512_ROUNDED;
/* gemm_avx512_tiles.c */
extern const gemm_kernel GEMM_AVX512_TILES;
/* gemm_amx.c */
extern const gemm_kernel GEMM_AMX_TILES;
#endif
