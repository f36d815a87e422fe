/* Loops over arrays that several ops share; each vectorises. Buffers do not overlap. */
#pragma once

#include "core/base/base.h"

#include <math.h>
#include <string.h>

static inline void vec_copy(real *restrict y, const real *restrict x, int64_t n)
{
    memcpy(y, x, (size_t)n * sizeof *y);
}

static inline void vec_zero(real *y, int64_t n)
{
    memset(y, 0, (size_t)n * sizeof *y);
}

/* a b + c of one element, rounded once. Of a sum with products a compiler chooses which it rounds
 * by itself, and may choose otherwise in vectors than behind the last one: then a bit would depend
 * on where a thread's share ends. */
static inline real vec_fused(real a, real b, real c)
{
    return REAL_IS_DOUBLE ? (real)fma((double)a, (double)b, (double)c)
                          : (real)fmaf((float)a, (float)b, (float)c);
}

/* y += x */
static inline void vec_add(real *restrict y, const real *restrict x, int64_t n)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        y[i] += x[i];
    }
}

/* y += s x */
static inline void vec_axpy(real *restrict y, real s, const real *restrict x, int64_t n)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        y[i] += s * x[i];
    }
}

/* y = s x */
static inline void vec_scaled(real *restrict y, real s, const real *restrict x, int64_t n)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        y[i] = s * x[i];
    }
}

/* y *= s */
static inline void vec_scale(real *restrict y, real s, int64_t n)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        y[i] *= s;
    }
}

/* y *= x */
static inline void vec_mul(real *restrict y, const real *restrict x, int64_t n)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        y[i] *= x[i];
    }
}

/* z += x y */
static inline void vec_mul_add(real *restrict z, const real *restrict x, const real *restrict y,
                               int64_t n)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        z[i] += x[i] * y[i];
    }
}

/* Two sums at a time: one alone waits for the previous addition. */
static inline real vec_dot(const real *restrict x, const real *restrict y, int64_t n)
{
    real low = 0, high = 0;
    int64_t half = n / 2;
#pragma omp simd reduction(+ : low, high)
    for (int64_t i = 0; i < half; i++) {
        low += x[i] * y[i];
        high += x[half + i] * y[half + i];
    }
    return n % 2 ? low + high + x[n - 1] * y[n - 1] : low + high;
}

static inline real vec_sum(const real *restrict x, int64_t n)
{
    real low = 0, high = 0;
    int64_t half = n / 2;
#pragma omp simd reduction(+ : low, high)
    for (int64_t i = 0; i < half; i++) {
        low += x[i];
        high += x[half + i];
    }
    return n % 2 ? low + high + x[n - 1] : low + high;
}

/* The same for long arrays, added up in double. */
static inline real vec_dot_long(const real *restrict x, const real *restrict y, int64_t n)
{
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < n; i++) {
        sum += (double)x[i] * (double)y[i];
    }
    return (real)sum;
}

static inline real vec_sum_long(const real *restrict x, int64_t n)
{
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < n; i++) {
        sum += (double)x[i];
    }
    return (real)sum;
}

/* The index of the largest of n >= 1; ties: the first. */
static inline int64_t vec_most(const real *x, int64_t n)
{
    int64_t most = 0;
    for (int64_t i = 1; i < n; i++) {
        if (x[i] > x[most]) most = i;
    }
    return most;
}

/* The largest element; a NaN may or may not be seen (callers' sums see it). n >= 1. */
static inline real vec_max(const real *restrict x, int64_t n)
{
    real most = x[0];
#pragma omp simd reduction(max : most)
    for (int64_t i = 1; i < n; i++) {
        most = x[i] > most ? x[i] : most;
    }
    return most;
}

/* sum [width] += the rows of x [rows, width]. Adds runs of 16 rows first, so that rounding errors
 * grow with rows / 16 + 16 and not with rows. */
void vec_add_columns(real *restrict sum, const real *restrict x, int64_t rows, int64_t width);
