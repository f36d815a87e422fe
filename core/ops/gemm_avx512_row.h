/* One row times a matrix, which is read once as it lies: what generating a token takes. */
#pragma once

#include "core/ops/gemm_form.h"

/* c [n] = a b + beta c for one packed row of a and b as it lies, which is read once. */
void gemm_avx512_row(gemm_form form, bool transposed, int64_t n, int64_t k, const float *panel,
                     const float *b, int64_t stride, float beta, float *c);
