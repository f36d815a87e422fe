#include "core/ops/gemm_kernels.h"

/* A product with few rows is limited by how fast b is read, 4 bytes for as many multiply-adds as
 * there are rows. So b is read once, in the order in which it lies, and nothing else touches
 * memory.
 *
 * An element's sum is one chain, so vectors are made of different columns, never of different k: 16
 * columns side by side are a vector as they lie; of columns that run along k, 16 x 16 values are
 * transposed in registers first. */

#if defined(__x86_64__)
#include "core/base/base.h"
#include "core/ops/gemm_avx512_few.h"

#include "core/ops/gemm_avx512_vector.h"

/* Vectors of columns that lie side by side in b [k, n], computed together at most: of one head, of
 * several. */
enum { GROUPS = 8, MOST_GROUPS = 16 };

/* As gemm_units counts them for a kernel of this form. */
INLINE int64_t units_of(gemm_form form, int64_t k)
{
    const int64_t depth = form == GEMM_PAIRS ? 2 : 1, fill = form == GEMM_FLOATS ? 1 : 2;
    return (k + fill - 1) / fill * fill / depth;
}

/* Vectors of sums, independent of each other: a multiply-add takes several cycles, and one chain
 * alone would wait for each. Of a head's last vector `last` lanes are there: beyond n nothing is
 * read. Several heads, each with a row of its own, are one stretch of each line of b. */
INLINE void side_by_side(gemm_form form, int heads, int groups, __mmask16 last, int64_t k,
                         const float *a, const float *b, int64_t stride, float beta, float *c,
                         int64_t stride_c)
{
    const int64_t units = units_of(form, k);
    __m512 sums[MOST_GROUPS];
#pragma GCC unroll 16
    for (int g = 0; g < heads * groups; g++) {
        __mmask16 there = (g + 1) % groups ? first(16) : last;
        sums[g] = begin_sums(beta, there, c + g / groups * stride_c + g % groups * 16);
    }
    for (int64_t p = 0; p < units; p++) {
#pragma GCC unroll 16
        for (int g = 0; g < heads * groups; g++) {
            __m512 x = _mm512_set1_ps(a[g / groups * GEMM_STRIDE + p]);
            __mmask16 there = (g + 1) % groups ? first(16) : last;
            __m512 y = across(form, b + g * 16, p, k, stride, there, NULL);
            sums[g] = multiply_add(form, x, y, sums[g]);
        }
    }
#pragma GCC unroll 16
    for (int g = 0; g < heads * groups; g++) {
        __mmask16 there = (g + 1) % groups ? first(16) : last;
        _mm512_mask_storeu_ps(c + g / groups * stride_c + g % groups * 16, there, sums[g]);
    }
}

#define GROUP(g)                                                                                   \
    case g:                                                                                        \
        side_by_side(form, 1, g, first(n - j - (g - 1) * 16), k, a, b + j, stride, beta, c + j,    \
                     0);                                                                           \
        break;

/* As few vectors as there are: a head's features are often one. */
INLINE void row_side_by_side(gemm_form form, int64_t n, int64_t k, const float *a, const float *b,
                             int64_t stride, float beta, float *c)
{
    for (int64_t j = 0; j < n; j += GROUPS * (int64_t)16) {
        switch (MIN((n - j + 15) / 16, (int64_t)GROUPS)) {
            GROUP(1)
            GROUP(2)
            GROUP(3)
            GROUP(4)
            GROUP(5)
            GROUP(6)
            GROUP(7)
            GROUP(8)
        }
    }
}

/* The next 16 columns' part: processors foresee a column, not that 16 others follow it. To the
 * second-level cache, as the next columns' whole part does not fit the first, and fewer lines can
 * be on their way to that. Measured in one thread: Sapphire Rapids, matrices in the third-level
 * cache, 27 to 32 GB/s, in memory 15 to 24; Zen 4, in memory, 6 to 14 and 8 to 20, but 9 if to the
 * first. */
INLINE void fetch(const float *b, int64_t depth, int64_t stride)
{
    for (int i = 16; i < 32; i++) {
        for (int64_t u = 0; u < depth; u++) {
            __builtin_prefetch(b + i * stride + u * 16, 0, 2);
        }
    }
}

/* 16 units of 16 columns, turned, times the same units of the rows of a: unit after unit, as the
 * chain demands; the rows of one unit do not wait for each other. Whole blocks are unrolled, as
 * turning them is: r[i] is then a register, and not memory that is written, read and written. */
INLINE void add_whole(gemm_form form, int rows, const float *a, const __m512 r[16], __m512 *sums)
{
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++) {
#pragma GCC unroll 8
        for (int64_t m = 0; m < rows; m++) {
            sums[m] = multiply_add(form, _mm512_set1_ps(a[m * GEMM_STRIDE + i]), r[i], sums[m]);
        }
    }
}

/* The first units of a block, which is the last and seldom there: as little code as there is time
 * for. */
INLINE void add_block(gemm_form form, int rows, int64_t units, const float *a, const __m512 r[16],
                      __m512 *sums)
{
    for (int i = 0; i < units; i++) {
#pragma GCC unroll 8
        for (int64_t m = 0; m < rows; m++) {
            sums[m] = multiply_add(form, _mm512_set1_ps(a[m * GEMM_STRIDE + i]), r[i], sums[m]);
        }
    }
}

/* 16 columns that run along k in b [n, k]: 16 units of each are transposed at a time, for all rows
 * of a, and added one after the other, in the order of k. Sums of 8 rows and a block fill 24 of the
 * 32 registers; turning and memory take longer than the chains wait, down to a single one. */
INLINE void along_k(gemm_form form, int rows, int64_t n, int64_t k, const float *a, const float *b,
                    int64_t stride, float beta, float *c, int64_t stride_c)
{
    const int64_t depth = form == GEMM_PAIRS ? 2 : 1, units = units_of(form, k);
    __m512 sums[GEMM_FEW], r[16];
    for (int64_t m = 0; m < rows; m++) {
        sums[m] = begin_sums(beta, first(n), c + m * stride_c);
    }
    int64_t p = 0;
    for (; n >= 16 && (p + 16) * depth <= k; p += 16) {
        turned_whole(form, r, b + p * depth, stride);
        if (n >= 32) fetch(b + p * depth, depth, stride); /* else another thread's */
        add_whole(form, rows, a + p, r, sums);
    }
    for (; p < units; p += 16) {
        turned(form, r, n, k - p * depth, b + p * depth, stride, _mm512_set1_ps(1));
        add_block(form, rows, units - p < 16 ? units - p : 16, a + p, r, sums);
    }
    for (int64_t m = 0; m < rows; m++) {
        _mm512_mask_storeu_ps(c + m * stride_c, first(n), sums[m]);
    }
}

/* b is walked once, 16 columns at a time, for all rows together: a second row costs multiply-adds,
 * no reading. */
INLINE void rows_along_k(gemm_form form, int rows, int64_t n, int64_t k, const float *a,
                         const float *b, int64_t stride, float beta, float *c, int64_t stride_c)
{
    for (int64_t j = 0; j < n; j += 16) {
        along_k(form, rows, n - j, k, a, b + j * stride, stride, beta, c + j, stride_c);
    }
}

/* As in gemm_avx512.c: with `rows` a constant the sums are registers. */
#define CASE(m)                                                                                    \
    case m:                                                                                        \
        rows_along_k(form, m, n, k, a, b, stride, beta, c, stride_c);                              \
        break;

/* One function for each number of rows, so that sums stay in registers. b side by side with several
 * rows is left to the tiles: packing it is copying, and nothing that is read once has that form. */
INLINE void few(gemm_form form, bool transposed, int64_t rows, int64_t n, int64_t k, const float *a,
                const float *b, int64_t stride, float beta, float *c, int64_t stride_c)
{
    if (!transposed) {
        CHECK(rows == 1, "%lld rows", (long long)rows);
        row_side_by_side(form, n, k, a, b, stride, beta, c);
        return;
    }
    switch (rows) {
        CASE(1)
        CASE(2)
        CASE(3)
        CASE(4)
        CASE(5)
        CASE(6)
        CASE(7)
        CASE(8)
    default:
        CHECK(false, "%lld rows are not few", (long long)rows);
    }
}

/* ---- a row for each of several heads ---- */

/* The same columns of all heads, then the next: the order in which lines lie. */
INLINE void heads_along_k(gemm_form form, int64_t heads, int64_t n, int64_t k, const float *a,
                          const float *b, int64_t stride, int64_t apart, float beta, float *c,
                          int64_t stride_c)
{
    for (int64_t j = 0; j < n; j += 16) {
        for (int64_t h = 0; h < heads; h++) {
            along_k(form, 1, n - j, k, a + h * GEMM_STRIDE, b + h * apart + j * stride, stride,
                    beta, c + h * stride_c + j, 0);
        }
    }
}

#define HEADS(heads, groups)                                                                       \
    case (heads)*SHIFT + (groups):                                                                 \
        side_by_side(form, heads, groups, first(16), k, a, b, stride, beta, c, stride_c);          \
        return heads;

/* As many heads as are a stretch of half a KiB or one, otherwise the first; returns how many. */
INLINE int64_t heads_together(gemm_form form, int64_t heads, int64_t n, int64_t k, const float *a,
                              const float *b, int64_t stride, float beta, float *c,
                              int64_t stride_c)
{
    enum { SHIFT = 32 };
    int64_t groups = n % 16 || n > MOST_GROUPS * 16 ? 0 : n / 16, together = MOST_GROUPS / 2;
    while (together > heads || together * groups > MOST_GROUPS) {
        together /= 2;
    }
    switch (together * SHIFT + groups) {
        HEADS(8, 1)
        HEADS(4, 1)
        HEADS(8, 2)
        HEADS(4, 2)
        HEADS(2, 2)
        HEADS(4, 4)
        HEADS(2, 4)
        HEADS(2, 8)
    }
    row_side_by_side(form, n, k, a, b, stride, beta, c);
    return 1;
}

INLINE void heads(gemm_form form, bool transposed, int64_t count, int64_t n, int64_t k,
                  const float *a, const float *b, int64_t stride, int64_t apart, float beta,
                  float *c, int64_t stride_c)
{
    if (transposed) {
        heads_along_k(form, count, n, k, a, b, stride, apart, beta, c, stride_c);
        return;
    }
    for (int64_t h = 0; h < count;) {
        h += heads_together(form, apart == n ? count - h : 1, n, k, a + h * GEMM_STRIDE,
                            b + h * apart, stride, beta, c + h * stride_c, stride_c);
    }
}

/* ---- one row and packed panels ---- */

/* Panels computed together, each two vectors of sums. */
enum { PANELS = 4 };

/* A row has one chain per vector of columns, and a chain waits for each of its multiply-adds: only
 * several panels at once, a unit of each, come as fast as a cache gives them. */
INLINE void panels_of_row(gemm_form form, int panels, int64_t n, int64_t units, const float *a,
                          const float *b, int64_t apart, float beta, float *c)
{
    __m512 sums[2 * PANELS];
#pragma GCC unroll 8
    for (int g = 0; g < 2 * panels; g++) {
        sums[g] = begin_sums(beta, first(n - g * 16), c + g * 16);
    }
    for (int64_t p = 0; p < units; p++) {
        const float *line = b + p * GEMM_AVX512_COLUMNS;
        __m512 x = _mm512_set1_ps(a[p]);
#pragma GCC unroll 8
        for (int g = 0; g < 2 * panels; g++) {
            __m512 y = _mm512_loadu_ps(line + g / 2 * apart + g % 2 * 16);
            sums[g] = multiply_add(form, x, y, sums[g]);
        }
    }
#pragma GCC unroll 8
    for (int g = 0; g < 2 * panels; g++) {
        _mm512_mask_storeu_ps(c + g * 16, first(n - g * 16), sums[g]);
    }
}

#define PANEL(g)                                                                                   \
    case g:                                                                                        \
        panels_of_row(form, g, n - j, units, a, b + j / GEMM_AVX512_COLUMNS * apart, apart, beta,  \
                      c + j);                                                                      \
        break;

INLINE void row(gemm_form form, int64_t n, int64_t units, const float *a, const float *b,
                int64_t apart, float beta, float *c)
{
    const int64_t width = GEMM_AVX512_COLUMNS;
    for (int64_t j = 0; j < n; j += PANELS * width) {
        switch (MIN((n - j + width - 1) / width, (int64_t)PANELS)) {
            PANEL(1)
            PANEL(2)
            PANEL(3)
            PANEL(4)
        }
    }
}

AVX512 void gemm_avx512_row(gemm_form form, int64_t n, int64_t units, const float *a,
                            const float *b, int64_t apart, float beta, float *c)
{
    if (form == GEMM_PAIRS) {
        row(GEMM_PAIRS, n, units, a, b, apart, beta, c);
    } else {
        row(GEMM_FLOATS, n, units, a, b, apart, beta, c); /* swapped ones, too, are floats */
    }
}

AVX512 void gemm_avx512_heads(gemm_form form, bool transposed, int64_t count, int64_t n, int64_t k,
                              const float *panel, const float *b, int64_t stride, int64_t apart,
                              float beta, float *c, int64_t stride_c)
{
    if (form == GEMM_FLOATS) {
        heads(GEMM_FLOATS, transposed, count, n, k, panel, b, stride, apart, beta, c, stride_c);
    } else if (form == GEMM_PAIRS) {
        heads(GEMM_PAIRS, transposed, count, n, k, panel, b, stride, apart, beta, c, stride_c);
    } else {
        heads(GEMM_SWAPPED, transposed, count, n, k, panel, b, stride, apart, beta, c, stride_c);
    }
}

AVX512 void gemm_avx512_few(gemm_form form, bool transposed, int64_t rows, int64_t n, int64_t k,
                            const float *panel, const float *b, int64_t stride, float beta,
                            float *c, int64_t stride_c)
{
    if (form == GEMM_FLOATS) {
        few(GEMM_FLOATS, transposed, rows, n, k, panel, b, stride, beta, c, stride_c);
    } else if (form == GEMM_PAIRS) {
        few(GEMM_PAIRS, transposed, rows, n, k, panel, b, stride, beta, c, stride_c);
    } else {
        few(GEMM_SWAPPED, transposed, rows, n, k, panel, b, stride, beta, c, stride_c);
    }
}
#endif
