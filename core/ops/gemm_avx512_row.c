#include "core/ops/gemm_kernels.h"

/* A product with one row is limited by how fast b is read, 4 bytes for each multiply-add. So b is
 * read once, in the order in which it lies, and nothing else touches memory.
 *
 * An element's sum is one chain, so vectors are made of different columns, never of different k: 16
 * columns side by side are a vector as they lie; of columns that run along k, 16 x 16 values are
 * transposed in registers first. */

#if defined(__x86_64__)
#include "core/ops/gemm_avx512_row.h"

#include "core/ops/gemm_avx512_vector.h"

/* c [GROUPS * 16] columns that lie side by side in b [k, n]. */
enum { GROUPS = 4 };

/* As gemm_units counts them for a kernel of this form. */
INLINE int64_t units_of(gemm_form form, int64_t k)
{
    const int64_t depth = form == GEMM_PAIRS ? 2 : 1, fill = form == GEMM_FLOATS ? 1 : 2;
    return (k + fill - 1) / fill * fill / depth;
}

/* Four vectors of sums, independent of each other: a multiply-add takes several cycles, and one
 * chain alone would wait for each. Beyond n nothing is read (masks). */
INLINE void side_by_side(gemm_form form, int64_t n, int64_t k, const float *a, const float *b,
                         int64_t stride, float beta, float *c)
{
    const int64_t units = units_of(form, k);
    __m512 sums[GROUPS];
    for (int g = 0; g < GROUPS; g++) {
        sums[g] = begin_sums(beta, first(n - g * 16), c + g * 16);
    }
    for (int64_t p = 0; p < units; p++) {
        __m512 x = _mm512_set1_ps(a[p]);
        for (int g = 0; g < GROUPS; g++) {
            __m512 y = across(form, b + g * 16, p, k, stride, first(n - g * 16), NULL);
            sums[g] = multiply_add(form, x, y, sums[g]);
        }
    }
    for (int g = 0; g < GROUPS; g++) {
        _mm512_mask_storeu_ps(c + g * 16, first(n - g * 16), sums[g]);
    }
}

/* The next 16 columns' part: processors foresee a column, not that 16 others follow it. Measured
 * (Sapphire Rapids), matrices in the third-level cache: 27 to 32 GB/s, in memory 15 to 24. */
INLINE void fetch(const float *b, int64_t depth, int64_t stride)
{
    for (int i = 16; i < 32; i++) {
        for (int u = 0; u < depth; u++) {
            __builtin_prefetch(b + i * stride + u * 16);
        }
    }
}

/* 16 columns that run along k in b [n, k]: 16 units of each are transposed at a time.
 * The transposed vectors are added one after the other, in the order of k. Only one chain runs
 * here; the transposition and the memory take longer than it waits. */
INLINE void along_k(gemm_form form, int64_t n, int64_t k, const float *a, const float *b,
                    int64_t stride, float beta, float *c)
{
    const int64_t depth = form == GEMM_PAIRS ? 2 : 1, units = units_of(form, k);
    __m512 sum = begin_sums(beta, first(n), c);
    int64_t p = 0;
    for (; n >= 16 && (p + 16) * depth <= k; p += 16) {
        __m512 r[16];
        turned_whole(form, r, b + p * depth, stride);
        fetch(b + p * depth, depth, stride);
        for (int i = 0; i < 16; i++) {
            sum = multiply_add(form, _mm512_set1_ps(a[p + i]), r[i], sum);
        }
    }
    for (; p < units; p += 16) {
        __m512 r[16];
        turned(form, r, n, k - p * depth, b + p * depth, stride);
        for (int i = 0; i < 16 && p + i < units; i++) {
            sum = multiply_add(form, _mm512_set1_ps(a[p + i]), r[i], sum);
        }
    }
    _mm512_mask_storeu_ps(c, first(n), sum);
}

INLINE void row(gemm_form form, bool transposed, int64_t n, int64_t k, const float *a,
                const float *b, int64_t stride, float beta, float *c)
{
    const int64_t step = transposed ? 16 : GROUPS * 16;
    for (int64_t j = 0; j < n; j += step) {
        if (transposed) {
            along_k(form, n - j, k, a, b + j * stride, stride, beta, c + j);
        } else {
            side_by_side(form, n - j, k, a, b + j, stride, beta, c + j);
        }
    }
}

AVX512 void gemm_avx512_row(gemm_form form, bool transposed, int64_t n, int64_t k,
                            const float *panel, const float *b, int64_t stride, float beta,
                            float *c)
{
    if (form == GEMM_FLOATS) {
        row(GEMM_FLOATS, transposed, n, k, panel, b, stride, beta, c);
    } else if (form == GEMM_PAIRS) {
        row(GEMM_PAIRS, transposed, n, k, panel, b, stride, beta, c);
    } else {
        row(GEMM_SWAPPED, transposed, n, k, panel, b, stride, beta, c);
    }
}
#endif
