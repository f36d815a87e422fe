/* Elementary functions that vectorise inside `#pragma omp simd` loops.
 *
 * In float: polynomials of our own, so that results depend neither on the C library nor on its
 * vector variants (bits are part of a run). Fitted for the least maximal relative error; a few
 * units in the last place at most (tests/core/test_vmath.c measures them). NaN gives NaN,
 * infinities give the limits, results below 2^-126 are flushed to zero. In double: the C library.
 */
#pragma once

#include "core/base/base.h"

#include <math.h>
#include <string.h>

#define VM_SQRT_HALF    ((real)0.70710678118654752440)
#define VM_INV_SQRT_2PI ((real)0.39894228040143267794)

#if REAL_IS_DOUBLE

static inline real vm_exp(real x)
{
    return exp(x);
}
static inline real vm_log(real x)
{
    return log(x);
}
static inline real vm_log1p(real x)
{
    return log1p(x);
}
static inline real vm_tanh(real x)
{
    return tanh(x);
}
static inline real vm_sigmoid(real x)
{
    return 1 / (1 + exp(-x));
}
static inline real vm_sqrt(real x)
{
    return sqrt(x);
}

/* The normal distribution: *density = phi(x) and, returned, its integral Phi(x). */
static inline real vm_normal(real x, real *density)
{
    *density = VM_INV_SQRT_2PI * exp(-x * x / 2);
    return erfc(-x * VM_SQRT_HALF) / 2;
}

#else

static inline int32_t vm_bits(float x)
{
    int32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float vm_from_bits(int32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* x = n ln 2 + r with |r| <= ln 2 / 2; returns expm1(r) and n in the low bits of *power: adding
 * 1.5 * 2^23 leaves the rounded integer in a float's mantissa. Not for |x| > 2^20. */
static inline float vm_reduce(float x, int32_t *power)
{
    const float shift = 12582912.0f;
    float shifted = x * 1.44269504f + shift;
    float n = shifted - shift;
    /* ln 2 in two parts, so that n times the first is exact. */
    float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    float p = 1.3946747545e-03f;
    p = p * r + 8.3667556100e-03f;
    p = p * r + 4.1666278042e-02f;
    p = p * r + 1.6666541713e-01f;
    p = p * r + 5.0000000629e-01f;
    *power = (int32_t)((uint32_t)vm_bits(shifted) << 23);
    return r + r * r * p;
}

static inline float vm_exp(float x)
{
    const float least = -87.3365447f, most = 88.7228394f; /* ln 2^-126, ln FLT_MAX */
    int32_t power;
    float p = 1 + vm_reduce(x, &power);
    /* Unsigned: where it wraps, the result is not used. */
    float y = vm_from_bits((int32_t)((uint32_t)vm_bits(p) + (uint32_t)power));
    y = x < least ? 0 : y;
    return x <= most ? y : x * INFINITY; /* a NaN takes the second way */
}

static inline float vm_log(float x)
{
    bool tiny = x < 1.17549435e-38f;
    float scaled = tiny ? x * 8388608.0f : x;
    /* scaled = 2^e m with m in [sqrt(1/2), sqrt(2)) */
    int32_t e = (vm_bits(scaled) - 0x3f3504f3) >> 23;
    float f = vm_from_bits((int32_t)((uint32_t)vm_bits(scaled) - ((uint32_t)e << 23))) - 1;
    float p = -7.8596064171e-02f;
    p = p * f + 1.2881645550e-01f;
    p = p * f - 1.3128755798e-01f;
    p = p * f + 1.4181192261e-01f;
    p = p * f - 1.6624553974e-01f;
    p = p * f + 2.0002286260e-01f;
    p = p * f - 2.5000810407e-01f;
    p = p * f + 3.3333316726e-01f;
    float n = (float)e - (tiny ? 23.0f : 0.0f);
    float y = f - f * f * 0.5f + (f * f * f * p - n * 2.12194440e-4f) + n * 0.693359375f;
    y = x > 0 ? y : (x == 0 ? -INFINITY : NAN);
    return x < INFINITY ? y : x; /* infinity and NaN give themselves */
}

/* For 0 <= x <= 1: the second term puts back what rounding 1 + x lost. */
static inline float vm_log1p(float x)
{
    float w = 1 + x;
    return vm_log(w) + (x - (w - 1)) / w;
}

/* tanh(a) = m / (m + 2) with m = expm1(2 a): no cancellation near 0. */
static inline float vm_tanh(float x)
{
    float a = fabsf(x);
    a = a > 10 ? 10 : a; /* tanh(10) rounds to 1; a NaN stays */
    int32_t power;
    float p = vm_reduce(2 * a, &power);
    float scale = vm_from_bits((int32_t)((uint32_t)power + 0x3f800000u));
    float m = scale * p + (scale - 1);
    return copysignf(m / (m + 2), x);
}

static inline float vm_sigmoid(float x)
{
    return 1 / (1 + vm_exp(-x));
}

static inline float vm_sqrt(float x)
{
    return sqrtf(x);
}

/* Phi(-a) = phi(a) sqrt(2 pi) t P(t), t = 1 / (1 + 0.3 a): relative error 2e-7 for a in [0, 12].
 * Beyond, both functions stay at what they are at 12, below 1e-31: no denormal numbers, which are
 * slow. */
static inline float vm_normal(float x, float *density)
{
    float a = fabsf(x);
    a = a > 12 ? 12 : a; /* a NaN stays, and spoils t; the exponential needs no limits of its own */
    int32_t power;
    float e = 1 + vm_reduce(-0.5f * a * a, &power);
    e = vm_from_bits((int32_t)((uint32_t)vm_bits(e) + (uint32_t)power));
    float t = 1 / (1 + 0.3f * a);
    float p = 3.5674806942e-02f;
    p = p * t - 1.5720321630e-01f;
    p = p * t + 2.0635372823e-01f;
    p = p * t - 5.3683838418e-02f;
    p = p * t + 1.2856172300e-01f;
    p = p * t + 9.9913465048e-02f;
    p = p * t + 1.2075396001e-01f;
    p = p * t + 1.1962929859e-01f;
    float tail = e * t * p;
    *density = VM_INV_SQRT_2PI * e;
    return x > 0 ? 1 - tail : tail;
}

#endif
