/* AMX's chain by multiply-adds of AVX-512, for processors that lack the former: the same bits.
 *
 * An element has three sums, s and for 32 values of k at a time those of their odd and even ones.
 * The latter two of 7 rows by 32 columns fill 28 of the 32 registers; s waits in memory, where it
 * is read and written once for 32 multiply-adds. 14 rows are two halves for each 32 values of k, so
 * that the second finds b's in the first-level cache.
 *
 * Panels are those of rounded floats (GEMM_SWAPPED), whose pairs have changed places: which of the
 * two sums is which does not matter, as they are added. */
#include "core/ops/gemm_kernels.h"

#if defined(__x86_64__)
#include "core/base/base.h"
#include "core/ops/gemm_avx512_pack.h"
#include "core/ops/gemm_avx512_vector.h"

#include <stdalign.h>

enum { ROWS = 14, HALF = 7, COLUMNS = GEMM_AVX512_COLUMNS, LINE = GEMM_AVX512_LINE, GROUP = 32 };

INLINE void add_unit(int rows, const float *a, const float *b, __m512 *sums)
{
    __m512 left = _mm512_loadu_ps(b), right = _mm512_loadu_ps(b + 16);
#pragma GCC unroll 7
    for (int i = 0; i < rows; i++) {
        __m512 value = _mm512_set1_ps(a[i]);
        sums[2 * i] = _mm512_fmadd_ps(value, left, sums[2 * i]);
        sums[2 * i + 1] = _mm512_fmadd_ps(value, right, sums[2 * i + 1]);
    }
}

/* s [rows, COLUMNS] += what 32 units add. */
INLINE void add_rows(int rows, const float *a, const float *b, float *s)
{
    __m512 odd[2 * HALF], even[2 * HALF];
#pragma GCC unroll 14
    for (int i = 0; i < 2 * rows; i++) {
        odd[i] = even[i] = _mm512_setzero_ps();
    }
    for (int u = 0; u < GROUP; u += 2) {
        add_unit(rows, a + u * LINE, b + u * COLUMNS, odd);
        add_unit(rows, a + (u + 1) * LINE, b + (u + 1) * COLUMNS, even);
    }
#pragma GCC unroll 14
    for (int i = 0; i < 2 * rows; i++) {
        __m512 both = _mm512_add_ps(even[i], odd[i]);
        _mm512_store_ps(s + i * 16, _mm512_add_ps(_mm512_load_ps(s + i * 16), both));
    }
}

#define CASE(n)                                                                                    \
    case n:                                                                                        \
        add_rows(n, a, b, s);                                                                      \
        break;

AVX512 static void add_group(int64_t rows, const float *a, const float *b, float *s)
{
    switch (rows) {
        CASE(1)
        CASE(2)
        CASE(3)
        CASE(4)
        CASE(5)
        CASE(6)
        CASE(7)
    default:
        CHECK(false, "half a tile of %lld rows", (long long)rows);
    }
}

AVX512 static void tile(int64_t rows, int64_t columns, int64_t units, const float *a,
                        const float *b, float beta, const float *from, int64_t stride_from,
                        float *c, int64_t stride_c, const gemm_ahead *ahead)
{
    enum { FETCHES = 4 }; /* between groups, as many as other tiles make in 32 units */
    alignas(64) float s[ROWS * COLUMNS];
    const __mmask16 left = first(columns), right = first(columns - 16);
    const int64_t upper = rows > HALF ? (rows + 1) / 2 : rows;
    gemm_ahead next = *ahead;
    int64_t turn = next.of;
    for (int64_t i = 0; i < rows; i++) {
        const float *row = from + i * stride_from;
        _mm512_store_ps(s + i * COLUMNS, begin_sums(beta, left, row));
        _mm512_store_ps(s + i * COLUMNS + 16, begin_sums(beta, right, row + 16));
    }
    for (int64_t p = 0; p < units; p += GROUP) {
        for (int i = 0; i < FETCHES; i++) {
            fetch_ahead(&next, &turn);
        }
        add_group(upper, a + p * LINE, b + p * COLUMNS, s);
        if (upper == rows) continue;
        add_group(rows - upper, a + p * LINE + upper, b + p * COLUMNS, s + upper * COLUMNS);
    }
    for (int64_t i = 0; i < rows; i++) {
        _mm512_mask_storeu_ps(c + i * stride_c, left, _mm512_load_ps(s + i * COLUMNS));
        _mm512_mask_storeu_ps(c + i * stride_c + 16, right, _mm512_load_ps(s + i * COLUMNS + 16));
    }
}

static int64_t units_of(int64_t k)
{
    return (k + GROUP - 1) / GROUP * GROUP;
}

static void pack_b(float *panels, bool transposed, int64_t k, int64_t n, const float *b,
                   int64_t stride)
{
    gemm_avx512_pack_b(GEMM_SWAPPED, panels, transposed, units_of(k), k, n, b, stride);
}

static void pack_a(float *panel, bool transposed, int64_t rows, int64_t k, float alpha,
                   const float *a, int64_t stride)
{
    gemm_avx512_pack_a(GEMM_SWAPPED, panel, transposed, units_of(k), rows, k, alpha, a, stride);
}

const gemm_kernel GEMM_AVX512_TILES = {.name = "avx512 tiles",
                                       .chain = GEMM_TILES,
                                       .supported = gemm_avx512_supported,
                                       .rows = ROWS,
                                       .columns = COLUMNS,
                                       .panel = LINE * GEMM_UNITS,
                                       .step = LINE,
                                       .depth = 1,
                                       .whole = GROUP,
                                       .flushes = true,
                                       .pack_b = pack_b,
                                       .pack_a = pack_a,
                                       .tile = tile};
#endif
