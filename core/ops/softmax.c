#include "core/ops/softmax.h"

#include "core/ops/vec.h"
#include "core/ops/vmath.h"
#include "core/ops/wide.h"

#include <math.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

/* exp(x - max) is at most 1, and 1 for the largest, so the sum lies in [1, n]: no overflow, and no
 * logarithm of 0. Terms more than about 87 below the largest vanish in float, where they would not
 * change the sum. The sum's order is fixed by the compiler and the instruction set; a NaN in x
 * makes it NaN, even if vec_max passed over it. */

real softmax_row(real *restrict p, const real *restrict x, int64_t n)
{
    real most = vec_max(x, n), sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < n; i++) {
        p[i] = vm_exp(x[i] - most);
        sum += p[i];
    }
    vec_scale(p, 1 / sum, n);
    return most + (real)log((double)sum);
}

real softmax_logsumexp(const real *restrict x, int64_t n)
{
    real most = vec_max(x, n), sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < n; i++) {
        sum += vm_exp(x[i] - most);
    }
    return most + (real)log((double)sum);
}

#define ALWAYS static inline __attribute__((always_inline))

ALWAYS void exponentials(real *restrict row, int64_t n, real shift)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        row[i] = vm_exp(row[i] - shift);
    }
}

static void exponentials_plain(real *row, int64_t n, real shift)
{
    exponentials(row, n, shift);
}

WIDE static void exponentials_wide(real *row, int64_t n, real shift)
{
    exponentials(row, n, shift);
}

/* Without the sum over them, whose order would be another in other vectors. */
void softmax_exp(real *row, int64_t n, real shift)
{
    (wide_vectors() ? exponentials_wide : exponentials_plain)(row, n, shift);
}

/* ---- rows of attention ---- */

/* What attention does to a row of scores, in few passes over it: a few hundred numbers in the
 * first-level cache, so that what counts is how long one operation waits for another.
 *
 * Sums do not wait for each other: one alone would wait four cycles for each addition. They have
 * the order that the header tells, in any vectors, so that bits do not depend on the processor. */
enum { SUMS = 8, BLOCK = 64 };

typedef real sums __attribute__((vector_size(SUMS * sizeof(real))));

/* s += row, or row x, from anywhere: rows begin where a query's first key stands. x NULL: ones. */
ALWAYS void add(sums *s, const real *row, const real *x)
{
    sums r, y;
    memcpy(&r, row, sizeof r);
    if (x) memcpy(&y, x, sizeof y);
    *s = x ? *s + r * y : *s + r;
}

ALWAYS real in_order(const sums *s)
{
    real all = 0;
    for (int i = 0; i < SUMS; i++) {
        all += (*s)[i];
    }
    return all;
}

/* The last SUMS elements' exponentials, made before those of whole vectors overwrite them: element
 * by element what is left of a row would take as long as a hundred in vectors. Of fewer, all. */
ALWAYS void last_exponentials(real *restrict last, const real *restrict row, int64_t n, real shift)
{
    for (int i = 0; i < SUMS; i++) {
        last[i] = n >= SUMS ? row[n - SUMS + i] : i < SUMS - n ? shift : row[n - SUMS + i];
    }
    exponentials(last, SUMS, shift);
}

/* Adds up `count` exponentials, a number that the compiler knows. */
ALWAYS void add_block(sums *s, real *restrict row, const real *restrict x, int64_t count,
                      real shift)
{
    exponentials(row, count, shift);
    for (int64_t i = 0; i < count; i += SUMS) {
        add(s, row + i, x ? x + i : NULL);
    }
}

/* Sums are added up block by block: while they wait, the next block's exponentials are computed. */
ALWAYS real exp_sums(real *restrict row, const real *restrict x, int64_t n, real shift)
{
    sums s = {0};
    real last[SUMS];
    int64_t j = 0;
    last_exponentials(last, row, n, shift);
    for (; j + BLOCK <= n; j += BLOCK) {
        add_block(&s, row + j, x ? x + j : NULL, BLOCK, shift);
    }
    for (; j + 2 * SUMS <= n; j += 2 * SUMS) {
        add_block(&s, row + j, x ? x + j : NULL, 2 * SUMS, shift);
    }
    if (j + SUMS <= n) {
        add_block(&s, row + j, x ? x + j : NULL, SUMS, shift);
        j += SUMS;
    }
    real first = s[0];
    for (; j < n; j++) {
        row[j] = last[SUMS - n + j];
        first = x ? vec_fused(row[j], x[j], first) : first + row[j];
    }
    s[0] = first;
    return in_order(&s);
}

/* Elements do not meet: any vectors give the same bits. */
ALWAYS void slopes(real *restrict x, const real *restrict p, int64_t n, real factor, real dot)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        x[i] = factor * (p[i] * (x[i] - dot));
    }
}

/* The same bodies in vectors of AVX2 and of AVX-512, which compute exponentials twice as fast; the
 * sums are of eight in both. */
#define ROWS_OF(ATTRIBUTE, name)                                                                   \
    ATTRIBUTE static real exp_sum_##name(real *row, int64_t n, real shift)                         \
    {                                                                                              \
        return exp_sums(row, NULL, n, shift);                                                      \
    }                                                                                              \
    ATTRIBUTE static real exp_dot_##name(real *row, const real *x, int64_t n, real shift)          \
    {                                                                                              \
        return exp_sums(row, x, n, shift);                                                         \
    }                                                                                              \
    ATTRIBUTE static void slopes_##name(real *x, const real *p, int64_t n, real factor, real dot)  \
    {                                                                                              \
        slopes(x, p, n, factor, dot);                                                              \
    }

ROWS_OF(, plain)
ROWS_OF(WIDE, wide)

real softmax_exp_sum(real *restrict row, int64_t n, real shift)
{
    return (wide_vectors() ? exp_sum_wide : exp_sum_plain)(row, n, shift);
}

real softmax_exp_dot(real *restrict row, const real *restrict x, int64_t n, real shift)
{
    return (wide_vectors() ? exp_dot_wide : exp_dot_plain)(row, x, n, shift);
}

void softmax_slopes(real *restrict x, const real *restrict p, int64_t n, real factor, real dot)
{
    (wide_vectors() ? slopes_wide : slopes_plain)(x, p, n, factor, dot);
}

/* The largest of a row is the same in any order: 64 elements at a time, the rest by masks. A NaN is
 * taken over or not, as by vec_max, whose loop this is in other vectors. */
#if defined(__x86_64__) && !REAL_IS_DOUBLE
WIDE static float most_wide(const float *row, int64_t n)
{
    __m512 most[4];
    int64_t j = 0;
    for (int i = 0; i < 4; i++) {
        most[i] = _mm512_set1_ps(row[0]);
    }
    for (; j + 64 <= n; j += 64) {
        for (int i = 0; i < 4; i++) {
            most[i] = _mm512_max_ps(_mm512_loadu_ps(row + j + 16 * i), most[i]);
        }
    }
    for (; j < n; j += 16) {
        __mmask16 there = (__mmask16)(n - j >= 16 ? 0xffffu : (1u << (n - j)) - 1);
        __m512 x = _mm512_maskz_loadu_ps(there, row + j);
        most[0] = _mm512_mask_max_ps(most[0], there, x, most[0]);
    }
    return _mm512_reduce_max_ps(
        _mm512_max_ps(_mm512_max_ps(most[0], most[1]), _mm512_max_ps(most[2], most[3])));
}

real softmax_most(const real *row, int64_t n)
{
    return wide_vectors() ? most_wide(row, n) : vec_max(row, n);
}
#else
real softmax_most(const real *row, int64_t n)
{
    return vec_max(row, n);
}
#endif
