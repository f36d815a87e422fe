/* What the kernels of AVX-512 and AMX agree upon. Functions may be called on processors that have
 * what GEMM_AVX512_TARGET names; for GEMM_FLOATS and GEMM_SWAPPED they do without avx512bf16. */
#pragma once

#include "core/ops/gemm_kernel.h"

#define GEMM_AVX512_TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")))

enum { GEMM_AVX512_COLUMNS = 32, GEMM_AVX512_LINE = 16 };

/* What a unit is: a float; two values of k rounded to bfloat16; a float so rounded, where the two
 * values of a pair have changed places, so that a chain of floats adds the odd one first. */
typedef enum gemm_form { GEMM_FLOATS, GEMM_PAIRS, GEMM_SWAPPED } gemm_form;
