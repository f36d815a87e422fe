#include "core/ops/gemm_kernels.h"

/* Two directions. Where the values that belong side by side in a panel lie side by side in memory,
 * packing is a masked copy (`across`). Where a line runs along k, 16 lines are read 16 units at a
 * time, a whole register each, and transposed in registers (`turned`): reading one value of every
 * line in turn would touch 16 lines of cache per 16 values.
 *
 * What is filled with zeros is filled here, so that kernels run over whole units and columns and
 * have no tails. */

#if defined(__x86_64__)
#include "core/ops/gemm_avx512_pack.h"

#include "core/ops/gemm_avx512_vector.h"

#include <stddef.h>

enum { COLUMNS = GEMM_AVX512_COLUMNS, LINE = GEMM_AVX512_LINE };

/* The whole group that the attribute names: the compiler may use any of it. */
bool gemm_avx512_supported(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

/* `lines` lines that run along k, transposed into 16 columns of a panel of COLUMNS.
 * First what is whole, without masks; then the rest of k, or fewer than 16 lines. */
INLINE void pack_turned(gemm_form form, float *to, int64_t units, int64_t k, int64_t lines,
                        const float *b, int64_t stride)
{
    const int64_t depth = form == GEMM_PAIRS ? 2 : 1;
    int64_t p = 0;
    for (; lines >= 16 && (p + 16) * depth <= k; p += 16) {
        __m512 r[16];
        turned_whole(form, r, b + p * depth, stride);
        for (int i = 0; i < 16; i++) {
            _mm512_storeu_ps(to + (p + i) * COLUMNS, r[i]);
        }
    }
    for (; p < units; p += 16) {
        __m512 r[16];
        turned(form, r, lines, k - p * depth, b + p * depth, stride, _mm512_set1_ps(1));
        for (int i = 0; i < 16 && p + i < units; i++) {
            _mm512_storeu_ps(to + (p + i) * COLUMNS, r[i]);
        }
    }
}

/* Columns side by side; a few units of all panels at a time, so that rows are read along.
 * Panel by panel, a row of b would be visited for 128 bytes at a time; 16 rows for all panels are a
 * stretch that processors fetch ahead. */
INLINE void pack_beside(gemm_form form, float *to, int64_t units, int64_t k, int64_t n,
                        const float *b, int64_t stride)
{
    enum { AT_ONCE = 16 };
    for (int64_t from = 0; from < units; from += AT_ONCE) {
        int64_t end = from + AT_ONCE < units ? from + AT_ONCE : units;
        for (int64_t j = 0; j < n; j += COLUMNS) {
            const __mmask16 left = first(n - j), right = first(n - j - 16);
            float *panel = to + j * units;
            for (int64_t p = from; p < end; p++) {
                _mm512_storeu_ps(panel + p * COLUMNS,
                                 across(form, b + j, p, k, stride, left, NULL));
                _mm512_storeu_ps(panel + p * COLUMNS + 16,
                                 across(form, b + j + 16, p, k, stride, right, NULL));
            }
        }
    }
}

/* j / COLUMNS tells the panel, j % COLUMNS (0 or 16) its half. */
INLINE void pack_b(gemm_form form, float *to, bool transposed, int64_t units, int64_t k, int64_t n,
                   const float *b, int64_t stride)
{
    if (!transposed) {
        pack_beside(form, to, units, k, n, b, stride);
        return;
    }
    /* Whole panels: columns beyond n have no lines, and become zeros (n - j may be negative). */
    int64_t whole = (n + COLUMNS - 1) / COLUMNS * COLUMNS;
    for (int64_t j = 0; j < whole; j += 16) {
        float *half = to + j / COLUMNS * COLUMNS * units + j % COLUMNS;
        pack_turned(form, half, units, k, n - j, b + j * stride, stride);
    }
}

/* alpha goes into a and not into b: a packed b may serve many products. */
INLINE void pack_a(gemm_form form, float *to, bool transposed, int64_t units, int64_t rows,
                   int64_t k, float alpha, const float *a, int64_t stride)
{
    const int64_t depth = form == GEMM_PAIRS ? 2 : 1;
    const __m512 factor = _mm512_set1_ps(alpha);
    if (transposed) {
        for (int64_t p = 0; p < units; p++) {
            _mm512_storeu_ps(to + p * LINE, across(form, a, p, k, stride, first(rows), &factor));
        }
        return;
    }
    for (int64_t p = 0; p < units; p += 16) {
        __m512 r[16];
        turned(form, r, rows, k - p * depth, a + p * depth, stride, factor);
        for (int i = 0; i < 16 && p + i < units; i++) {
            _mm512_storeu_ps(to + (p + i) * LINE, r[i]);
        }
    }
}

/* Rows as they lie. */
INLINE void pack_rows(gemm_form form, float *to, int64_t units, int64_t rows, int64_t k,
                      float alpha, const float *a, int64_t stride)
{
    const int64_t depth = form == GEMM_PAIRS ? 2 : 1;
    const __m512 factor = _mm512_set1_ps(alpha);
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t p = 0; p < units; p += 16) {
            /* Stores of 16 units may run over the last one: GEMM_STRIDE has room for it. */
            const float *x = a + i * stride + p * depth;
            _mm512_storeu_ps(to + i * GEMM_STRIDE + p, along(form, x, k - p * depth, factor));
        }
    }
}

/* The transposed panel of a, turned into rows.
 * AMX loads rows of a, and there is no broadcast as in gemm_avx512.c, so a transposed a has to be
 * turned. Rows up to the next multiple of 16 are written, zeros beyond `rows`: a panel has room for
 * 32. */
INLINE void turn_a(float *to, int64_t units, int64_t rows, int64_t k, float alpha, const float *a,
                   int64_t stride)
{
    const __m512 factor = _mm512_set1_ps(alpha);
    for (int64_t i = 0; i < rows; i += 16) {
        for (int64_t p = 0; p < units; p += 16) {
            __m512 r[16];
            for (int u = 0; u < 16; u++) {
                r[u] = across(GEMM_PAIRS, a + i, p + u, k, stride, first(rows - i), &factor);
            }
            transpose16(r);
            for (int e = 0; e < 16; e++) {
                _mm512_storeu_ps(to + (i + e) * GEMM_STRIDE + p, r[e]);
            }
        }
    }
}

/* The form is made a constant of each copy of the loops. */
AVX512 void gemm_avx512_pack_b(gemm_form form, float *panels, bool transposed, int64_t units,
                               int64_t k, int64_t n, const float *b, int64_t stride)
{
    if (form == GEMM_FLOATS) {
        pack_b(GEMM_FLOATS, panels, transposed, units, k, n, b, stride);
    } else if (form == GEMM_PAIRS) {
        pack_b(GEMM_PAIRS, panels, transposed, units, k, n, b, stride);
    } else {
        pack_b(GEMM_SWAPPED, panels, transposed, units, k, n, b, stride);
    }
}

AVX512 void gemm_avx512_pack_a(gemm_form form, float *panel, bool transposed, int64_t units,
                               int64_t rows, int64_t k, float alpha, const float *a, int64_t stride)
{
    if (form == GEMM_FLOATS) {
        pack_a(GEMM_FLOATS, panel, transposed, units, rows, k, alpha, a, stride);
    } else if (form == GEMM_PAIRS) {
        pack_a(GEMM_PAIRS, panel, transposed, units, rows, k, alpha, a, stride);
    } else {
        pack_a(GEMM_SWAPPED, panel, transposed, units, rows, k, alpha, a, stride);
    }
}

AVX512 void gemm_avx512_pack_rows(gemm_form form, float *panel, bool transposed, int64_t units,
                                  int64_t rows, int64_t k, float alpha, const float *a,
                                  int64_t stride)
{
    if (transposed) {
        turn_a(panel, units, rows, k, alpha, a, stride);
    } else if (form == GEMM_FLOATS) {
        pack_rows(GEMM_FLOATS, panel, units, rows, k, alpha, a, stride);
    } else if (form == GEMM_PAIRS) {
        pack_rows(GEMM_PAIRS, panel, units, rows, k, alpha, a, stride);
    } else {
        pack_rows(GEMM_SWAPPED, panel, units, rows, k, alpha, a, stride);
    }
}
#endif
