/* Packing for the kernels of AVX-512 and AMX. */
#pragma once

#include "core/ops/gemm_form.h"

/* Has this processor what GEMM_FLOATS and GEMM_SWAPPED need? */
bool gemm_avx512_supported(void);

/* Panels [n / 32][units][32]; units beyond k's are zeros. */
void gemm_avx512_pack_b(gemm_form form, float *panels, bool transposed, int64_t units, int64_t k,
                        int64_t n, const float *b, int64_t stride);

/* [units][16] for at most 16 rows. */
void gemm_avx512_pack_a(gemm_form form, float *panel, bool transposed, int64_t units, int64_t rows,
                        int64_t k, float alpha, const float *a, int64_t stride);

/* [rows][GEMM_STRIDE]; transposed: of pairs, `units` a multiple of 16. */
void gemm_avx512_pack_rows(gemm_form form, float *panel, bool transposed, int64_t units,
                           int64_t rows, int64_t k, float alpha, const float *a, int64_t stride);
