/* One row of a softmax, for the ops that contain one. */
#pragma once

#include "core/base/base.h"

/* p [n] = softmax(x [n]), n >= 1; returns logsumexp(x). The largest element is subtracted first. A
 * NaN or an infinity in x shows in the result. */
real softmax_row(real *restrict p, const real *restrict x, int64_t n);

/* log(sum(exp(x))) */
real softmax_logsumexp(const real *restrict x, int64_t n);

/* row [n] = exp(row - shift) */
void softmax_exp(real *row, int64_t n, real shift);
