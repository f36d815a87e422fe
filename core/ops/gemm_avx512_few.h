/* A few rows times a matrix, which is read once as it lies: what generating tokens takes. */
#pragma once

#include "core/ops/gemm_form.h"

/* c [rows, n] = a b + beta c for packed rows of a and b as it lies, which is read once: one row,
 * or, where b is transposed, GEMM_FEW at most. */
void gemm_avx512_few(gemm_form form, bool transposed, int64_t rows, int64_t n, int64_t k,
                     const float *panel, const float *b, int64_t stride, float beta, float *c,
                     int64_t stride_c);

/* c [n] = a b + beta c for one packed row and panels of b that are `apart` units from each other.
 */
void gemm_avx512_row(gemm_form form, int64_t n, int64_t units, const float *a, const float *b,
                     int64_t apart, float beta, float *c);

/* c[h] [n] = a[h] b[h] + beta c[h]: one row each, the b `apart` floats behind each other. */
void gemm_avx512_heads(gemm_form form, bool transposed, int64_t count, int64_t n, int64_t k,
                       const float *panel, const float *b, int64_t stride, int64_t apart,
                       float beta, float *c, int64_t stride_c);
