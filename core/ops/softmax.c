#include "core/ops/softmax.h"

#include "core/ops/vec.h"
#include "core/ops/vmath.h"
#include "core/ops/wide.h"

#include <math.h>

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

static inline __attribute__((always_inline)) void exponentials(real *restrict row, int64_t n,
                                                               real shift)
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
