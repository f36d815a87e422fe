/* Kernels without any processor's intrinsics: tiles small enough for the 16 vector registers of
 * AVX2, for which the product is built by default.
 *
 * 6 x 16: 12 registers of 8 sums, two for a line of b, one for a value of a. The loops have
 * constant bounds, so a compiler unrolls them and keeps the sums in registers; rows and columns
 * that are not there are zeros in the panels, computed and not stored.
 *
 * fmaf rounds once, by the definition of C, whether the processor has the instruction or a library
 * does it: that, and the order of k, is all that the bits rest on. These kernels are what all
 * others are tested against. */
#include "core/base/base.h"
#include "core/ops/bfloat16.h"
#include "core/ops/gemm_kernels.h"

#include <math.h>
#include <string.h>

enum { ROWS = 6, COLUMNS = 16 };

/* Denormals to zero: x86 has a mode for it, which gemm.c sets around the kernel.
 * The sign stays, as it does in that mode. */
static inline float flushed(float x)
{
#if defined(__x86_64__)
    return x;
#else
    return fabsf(x) < 0x1p-126f ? copysignf(0, x) : x;
#endif
}

/* ---- packing: panels of a are [units][ROWS], of b [units][COLUMNS] ---- */

/* `count` lines (rows of a, columns of b) of k values: a line's values are `along` apart, lines
 * `across`. Rounding keeps a pair's odd value first, the order in which it is added.
 * `whole` tells the chain: 1 is float32's, which rounds nothing and has no pairs; 2 and 32 round.
 * Lines beyond `count` and values beyond k are zeros in both operands, so that no infinity is
 * multiplied by one of them. */
static void pack_lines(float *to, int64_t width, int64_t whole, int64_t count, int64_t k,
                       float alpha, const float *from, int64_t along, int64_t across)
{
    int64_t filled = (k + whole - 1) / whole * whole;
    for (int64_t p = 0; p < filled; p++) {
        /* p ^ 1 exchanges 0 and 1, 2 and 3, ... The last value of an odd k has no partner: a zero
         * stands there. */
        int64_t source = whole > 1 ? p ^ 1 : p;
        float *unit = to + p * width;
        for (int64_t i = 0; i < width; i++) {
            float x = i < count && source < k ? alpha * from[source * along + i * across] : 0;
            unit[i] = whole > 1 ? bfloat16_value(bfloat16_of(x)) : x;
        }
    }
}

/* Columns of a stored b [k, n] lie side by side and k is a stride apart; of b [n, k] the other way
 * round. */
static void pack_b(float *panels, bool transposed, int64_t whole, int64_t k, int64_t n,
                   const float *b, int64_t stride)
{
    int64_t filled = (k + whole - 1) / whole * whole;
    for (int64_t j = 0; j < n; j += COLUMNS) {
        pack_lines(panels + j * filled, COLUMNS, whole, MIN(n - j, (int64_t)COLUMNS), k, 1,
                   b + (transposed ? j * stride : j), transposed ? 1 : stride,
                   transposed ? stride : 1);
    }
}

/* A row of a [rows, k] runs along k; rows beyond `rows` up to ROWS are zeros. */
static void pack_a(float *panel, bool transposed, int64_t whole, int64_t rows, int64_t k,
                   float alpha, const float *a, int64_t stride)
{
    pack_lines(panel, ROWS, whole, rows, k, alpha, a, transposed ? stride : 1,
               transposed ? 1 : stride);
}

/* The table of a kernel has no place for `whole`: a pair of functions per chain fixes it. */
static void pack_b_float32(float *panels, bool transposed, int64_t k, int64_t n, const float *b,
                           int64_t stride)
{
    pack_b(panels, transposed, 1, k, n, b, stride);
}

static void pack_a_float32(float *panel, bool transposed, int64_t rows, int64_t k, float alpha,
                           const float *a, int64_t stride)
{
    pack_a(panel, transposed, 1, rows, k, alpha, a, stride);
}

static void pack_b_pairs(float *panels, bool transposed, int64_t k, int64_t n, const float *b,
                         int64_t stride)
{
    pack_b(panels, transposed, 2, k, n, b, stride);
}

static void pack_a_pairs(float *panel, bool transposed, int64_t rows, int64_t k, float alpha,
                         const float *a, int64_t stride)
{
    pack_a(panel, transposed, 2, rows, k, alpha, a, stride);
}

static void pack_b_tiles(float *panels, bool transposed, int64_t k, int64_t n, const float *b,
                         int64_t stride)
{
    pack_b(panels, transposed, 32, k, n, b, stride);
}

static void pack_a_tiles(float *panel, bool transposed, int64_t rows, int64_t k, float alpha,
                         const float *a, int64_t stride)
{
    pack_a(panel, transposed, 32, rows, k, alpha, a, stride);
}

/* ---- tiles ---- */

/* beta 0 does not read what may be c, which may hold NaN. */
static void begin_sums(float s[ROWS][COLUMNS], int64_t rows, int64_t columns, float beta,
                       const float *from, int64_t stride_from)
{
    memset(s, 0, sizeof(float) * ROWS * COLUMNS);
    for (int64_t i = 0; beta != 0 && i < rows; i++) {
        for (int64_t j = 0; j < columns; j++) {
            s[i][j] = beta * from[i * stride_from + j];
        }
    }
}

/* Rows and columns that are not there were computed and end here. */
static void store_sums(float s[ROWS][COLUMNS], int64_t rows, int64_t columns, float *c,
                       int64_t stride_c)
{
    for (int64_t i = 0; i < rows; i++) {
        memcpy(c + i * stride_c, s[i], (size_t)columns * sizeof *c);
    }
}

/* Of the two chains only bfloat16's flushes.
 * p is the outermost loop: each of the 96 sums takes its next term, so that the additions of one
 * sum wait for each other while 95 others go on. */
static inline void one_chain(bool flushes, int64_t rows, int64_t columns, int64_t units,
                             const float *a, const float *b, float beta, const float *from,
                             int64_t stride_from, float *c, int64_t stride_c)
{
    float s[ROWS][COLUMNS];
    begin_sums(s, rows, columns, beta, from, stride_from);
    for (int64_t p = 0; p < units; p++) {
        for (int i = 0; i < ROWS; i++) {
#pragma omp simd
            for (int j = 0; j < COLUMNS; j++) {
                float sum = fmaf(a[p * ROWS + i], b[p * COLUMNS + j], s[i][j]);
                s[i][j] = flushes ? flushed(sum) : sum;
            }
        }
    }
    store_sums(s, rows, columns, c, stride_c);
}

static void tile_float32(int64_t rows, int64_t columns, int64_t units, const float *a,
                         const float *b, float beta, const float *from, int64_t stride_from,
                         float *c, int64_t stride_c, const gemm_ahead *ahead)
{
    (void)ahead;
    one_chain(false, rows, columns, units, a, b, beta, from, stride_from, c, stride_c);
}

static void tile_pairs(int64_t rows, int64_t columns, int64_t units, const float *a, const float *b,
                       float beta, const float *from, int64_t stride_from, float *c,
                       int64_t stride_c, const gemm_ahead *ahead)
{
    (void)ahead;
    one_chain(true, rows, columns, units, a, b, beta, from, stride_from, c, stride_c);
}

/* Two sums of 16 values each from zero, then their sum added to the one in s.
 * Packed, the odd value of a pair comes first: even q holds it. */
static void tile_of_tiles(int64_t rows, int64_t columns, int64_t units, const float *a,
                          const float *b, float beta, const float *from, int64_t stride_from,
                          float *c, int64_t stride_c, const gemm_ahead *ahead)
{
    (void)ahead;
    float s[ROWS][COLUMNS];
    begin_sums(s, rows, columns, beta, from, stride_from);
    for (int64_t p = 0; p < units; p += 32) {
        for (int64_t i = 0; i < rows; i++) {
            float even[COLUMNS] = {0}, odd[COLUMNS] = {0};
            for (int64_t q = p; q < p + 32; q += 2) {
#pragma omp simd
                for (int j = 0; j < COLUMNS; j++) {
                    odd[j] = flushed(fmaf(a[q * ROWS + i], b[q * COLUMNS + j], odd[j]));
                    even[j] =
                        flushed(fmaf(a[(q + 1) * ROWS + i], b[(q + 1) * COLUMNS + j], even[j]));
                }
            }
#pragma omp simd
            for (int j = 0; j < COLUMNS; j++) {
                s[i][j] = flushed(s[i][j] + flushed(even[j] + odd[j]));
            }
        }
    }
    store_sums(s, rows, columns, c, stride_c);
}

/* A unit is a float in all three, rounded or not: depth 1. */
const gemm_kernel GEMM_PLAIN_FLOAT32 = {.name = "plain",
                                        .chain = GEMM_FLOAT32,
                                        .rows = ROWS,
                                        .columns = COLUMNS,
                                        .panel = ROWS * GEMM_UNITS,
                                        .step = ROWS,
                                        .depth = 1,
                                        .whole = 1,
                                        .pack_b = pack_b_float32,
                                        .pack_a = pack_a_float32,
                                        .tile = tile_float32};

const gemm_kernel GEMM_PLAIN_BFLOAT16 = {.name = "plain bfloat16",
                                         .chain = GEMM_BFLOAT16,
                                         .rows = ROWS,
                                         .columns = COLUMNS,
                                         .panel = ROWS * GEMM_UNITS,
                                         .step = ROWS,
                                         .depth = 1,
                                         .whole = 2,
                                         .flushes = true,
                                         .pack_b = pack_b_pairs,
                                         .pack_a = pack_a_pairs,
                                         .tile = tile_pairs};

const gemm_kernel GEMM_PLAIN_TILES = {.name = "plain tiles",
                                      .chain = GEMM_TILES,
                                      .rows = ROWS,
                                      .columns = COLUMNS,
                                      .panel = ROWS * GEMM_UNITS,
                                      .step = ROWS,
                                      .depth = 1,
                                      .whole = 32,
                                      .flushes = true,
                                      .pack_b = pack_b_tiles,
                                      .pack_a = pack_a_tiles,
                                      .tile = tile_of_tiles};
