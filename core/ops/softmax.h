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

/* The largest element of row [n], n >= 1; a NaN may or may not be seen (the sum sees it). */
real softmax_most(const real *row, int64_t n);

/* row [n] = exp(row - shift); returns the sum, or the sum of row times x. Element i is added to sum
 * i % 8 of eight, those behind the last whole eight to the first; then the eight in order. */
real softmax_exp_sum(real *restrict row, int64_t n, real shift);
real softmax_exp_dot(real *restrict row, const real *restrict x, int64_t n, real shift);

/* x [n] = factor p (x - dot) */
void softmax_slopes(real *restrict x, const real *restrict p, int64_t n, real factor, real dot);
