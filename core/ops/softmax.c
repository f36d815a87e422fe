#include "core/ops/softmax.h"

#include "core/ops/vec.h"
#include "core/ops/vmath.h"

#include <math.h>

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
