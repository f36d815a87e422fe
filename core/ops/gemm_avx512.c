/* Kernels for AVX-512: a tile of 14 rows by 32 columns fills 28 of the 32 registers, so that every
 * load of b serves 14 multiply-adds and every value of a two. A panel of a is [units][LINE], the
 * values of one k side by side, whichever way it was stored: the kernel broadcasts them one by one,
 * and both panels are read in the order in which they lie.
 *
 * The file is compiled for any x86-64; what uses the instruction set has it as an attribute, and is
 * reached through the table of kernels, only where the processor has it (`supported`). One body
 * serves three forms of unit (gemm_form.h): always_inline with the form as a constant makes three
 * kernels of it. */
#include "core/ops/gemm_kernels.h"

#if defined(__x86_64__)
#include "core/base/base.h"
#include "core/ops/gemm_avx512_few.h"
#include "core/ops/gemm_avx512_pack.h"
#include "core/ops/gemm_avx512_vector.h"

enum { ROWS = 14, COLUMNS = GEMM_AVX512_COLUMNS, LINE = GEMM_AVX512_LINE };

/* ---- tiles ---- */

/* c's sums while a tile is made. */
typedef struct sums {
    __m512 x[ROWS], y[ROWS];
} sums;

/* The chain's next unit, for all sums at once. Two registers of b are read, and a's value is
 * broadcast: 28 sums, 2 lines of b and a value are 31 registers. Of 16 columns or fewer (heads of
 * attention) one half of a tile is computed.
 * The panels' lines AHEAD units on are asked for: both do not fit the first-level cache beside c,
 * and without it a multiply-add in twenty waits. Few rows read b once, from afar: FAR units ahead
 * and to the second-level cache, which waits for more lines at a time than the first. Measured (Zen
 * 4), 8 rows and panels in memory: 14 to 20 GB/s; in the third-level cache it makes no difference.
 */
INLINE void add_unit(gemm_form form, int halves, int rows, int64_t row_step, const float *a,
                     const float *b, sums *s)
{
    enum { AHEAD = 16, FAR = 64 };
    __m512 b0 = _mm512_loadu_ps(b), b1 = halves > 1 ? _mm512_loadu_ps(b + 16) : b0;
#pragma GCC unroll 2
    for (int i = 0; i < halves; i++) {
        if (rows > GEMM_FEW) {
            __builtin_prefetch(b + AHEAD * COLUMNS + i * 16);
        } else {
            __builtin_prefetch(b + FAR * COLUMNS + i * 16, 0, 2);
        }
    }
    if (row_step == 1) __builtin_prefetch(a + AHEAD * LINE);
#pragma GCC unroll 14
    for (int i = 0; i < rows; i++) {
        __m512 value = _mm512_set1_ps(a[i * row_step]);
        s->x[i] = multiply_add(form, value, b0, s->x[i]);
        if (halves > 1) s->y[i] = multiply_add(form, value, b1, s->y[i]);
    }
}

/* For constant rows, form and steps the loops over rows are unrolled and sums live in registers.
 * Columns beyond the matrix are masked where c is read and written; in b's panel they are zeros.
 * Loops around the one over k are unrolled, too, or the sums would pass through the stack on their
 * way to c. Two units a turn: counters take slots of the ports that multiply (dW of width 512: 5 %;
 * four are no faster, and three times as long to compile). */
INLINE void rows_tile(gemm_form form, int halves, int rows, int64_t row_step, int64_t unit_step,
                      int64_t columns, int64_t units, const float *a, const float *b, float beta,
                      const float *from, int64_t stride_from, float *c, int64_t stride_c,
                      const gemm_ahead *ahead)
{
    enum { BETWEEN = 8 };
    sums s;
    const __mmask16 left = first(columns), right = first(columns - 16);
    gemm_ahead next = *ahead;
    int64_t turn = next.of, p = 0;
#pragma GCC unroll 14
    for (int i = 0; i < rows; i++) {
        s.x[i] = begin_sums(beta, left, from + i * stride_from);
        if (halves > 1) s.y[i] = begin_sums(beta, right, from + i * stride_from + 16);
    }
    /* As long as there is something to fetch: small products, whose operands are near, have
     * nothing. */
    for (; next.lines + next.rows > 0 && p + BETWEEN <= units; p += BETWEEN) {
        fetch_ahead(&next, &turn);
#pragma GCC unroll 2
        for (int u = 0; u < BETWEEN; u++) {
            add_unit(form, halves, rows, row_step, a, b, &s);
            a += unit_step;
            b += COLUMNS;
        }
    }
#pragma GCC unroll 2
    for (; p < units; p++) {
        add_unit(form, halves, rows, row_step, a, b, &s);
        a += unit_step;
        b += COLUMNS;
    }
#pragma GCC unroll 14
    for (int i = 0; i < rows; i++) {
        _mm512_mask_storeu_ps(c + i * stride_c, left, s.x[i]);
        if (halves > 1) _mm512_mask_storeu_ps(c + i * stride_c + 16, right, s.y[i]);
    }
}

/* Every number of rows is a function of its own: with `rows` known its sums are named registers. A
 * loop up to a variable would put them in memory. */
#define CASE(n)                                                                                    \
    case n:                                                                                        \
        rows_tile(form, halves, n, row_step, unit_step, columns, units, a, b, beta, from,          \
                  stride_from, c, stride_c, ahead);                                                \
        break;

/* A jump through a table per tile, before some thousand multiply-adds. */
INLINE void half_tile(gemm_form form, int halves, int64_t rows, int64_t row_step, int64_t unit_step,
                      int64_t columns, int64_t units, const float *a, const float *b, float beta,
                      const float *from, int64_t stride_from, float *c, int64_t stride_c,
                      const gemm_ahead *ahead)
{
    switch (rows) {
        CASE(1)
        CASE(2)
        CASE(3)
        CASE(4)
        CASE(5)
        CASE(6)
        CASE(7)
        CASE(8)
        CASE(9)
        CASE(10)
        CASE(11)
        CASE(12)
        CASE(13)
        CASE(14)
    default:
        CHECK(false, "a tile of %lld rows", (long long)rows);
    }
}

/* With half the sums a unit has half as many multiply-adds for as many reads of a: they balance, 15
 * reads and 14 multiply-adds, two a cycle of either. */
INLINE void tile(gemm_form form, int64_t rows, int64_t row_step, int64_t unit_step, int64_t columns,
                 int64_t units, const float *a, const float *b, float beta, const float *from,
                 int64_t stride_from, float *c, int64_t stride_c, const gemm_ahead *ahead)
{
    if (columns <= 16) {
        half_tile(form, 1, rows, row_step, unit_step, columns, units, a, b, beta, from, stride_from,
                  c, stride_c, ahead);
    } else {
        half_tile(form, 2, rows, row_step, unit_step, columns, units, a, b, beta, from, stride_from,
                  c, stride_c, ahead);
    }
}

/* ---- the three kernels ---- */

/* What a kernel's functions are called with is the same for all; the forms and how k is filled up
 * are fixed here. Floats need no fill: units are values of k. */
static void pack_b_floats(float *panels, bool transposed, int64_t k, int64_t n, const float *b,
                          int64_t stride)
{
    gemm_avx512_pack_b(GEMM_FLOATS, panels, transposed, k, k, n, b, stride);
}

static void pack_a_floats(float *panel, bool transposed, int64_t rows, int64_t k, float alpha,
                          const float *a, int64_t stride)
{
    gemm_avx512_pack_a(GEMM_FLOATS, panel, transposed, k, rows, k, alpha, a, stride);
}

static void pack_few_floats(float *panel, int64_t rows, int64_t k, float alpha, const float *a,
                            int64_t stride)
{
    gemm_avx512_pack_rows(GEMM_FLOATS, panel, false, k, rows, k, alpha, a, stride);
}

static void few_floats(bool transposed, int64_t rows, int64_t n, int64_t k, const float *panel,
                       const float *b, int64_t stride, float beta, float *c, int64_t stride_c)
{
    gemm_avx512_few(GEMM_FLOATS, transposed, rows, n, k, panel, b, stride, beta, c, stride_c);
}

static void heads_floats(bool transposed, int64_t heads, int64_t n, int64_t k, const float *panel,
                         const float *b, int64_t stride, int64_t apart, float beta, float *c,
                         int64_t stride_c)
{
    gemm_avx512_heads(GEMM_FLOATS, transposed, heads, n, k, panel, b, stride, apart, beta, c,
                      stride_c);
}

static void row_floats(int64_t n, int64_t units, const float *a, const float *b, int64_t apart,
                       float beta, float *c)
{
    gemm_avx512_row(GEMM_FLOATS, n, units, a, b, apart, beta, c);
}

AVX512 static void tile_floats(int64_t rows, int64_t columns, int64_t units, const float *a,
                               const float *b, float beta, const float *from, int64_t stride_from,
                               float *c, int64_t stride_c, const gemm_ahead *ahead)
{
    tile(GEMM_FLOATS, rows, 1, LINE, columns, units, a, b, beta, from, stride_from, c, stride_c,
         ahead);
}

/* A float's unit is the float, so that a panel of a is a copy in another order: where it would
 * serve a few tiles only, these read a itself. bfloat16 has to be rounded first. */
AVX512 static void tile_unpacked(bool transposed, int64_t rows, int64_t columns, int64_t units,
                                 const float *a, int64_t stride_a, const float *b, float beta,
                                 const float *from, int64_t stride_from, float *c, int64_t stride_c,
                                 const gemm_ahead *ahead)
{
    if (transposed) {
        tile(GEMM_FLOATS, rows, 1, stride_a, columns, units, a, b, beta, from, stride_from, c,
             stride_c, ahead);
    } else {
        tile(GEMM_FLOATS, rows, stride_a, 1, columns, units, a, b, beta, from, stride_from, c,
             stride_c, ahead);
    }
}

/* Two values per unit: an odd k has half a unit more, whose second value is zero. */
static void pack_b_pairs(float *panels, bool transposed, int64_t k, int64_t n, const float *b,
                         int64_t stride)
{
    gemm_avx512_pack_b(GEMM_PAIRS, panels, transposed, (k + 1) / 2, k, n, b, stride);
}

static void pack_a_pairs(float *panel, bool transposed, int64_t rows, int64_t k, float alpha,
                         const float *a, int64_t stride)
{
    gemm_avx512_pack_a(GEMM_PAIRS, panel, transposed, (k + 1) / 2, rows, k, alpha, a, stride);
}

static void pack_few_pairs(float *panel, int64_t rows, int64_t k, float alpha, const float *a,
                           int64_t stride)
{
    gemm_avx512_pack_rows(GEMM_PAIRS, panel, false, (k + 1) / 2, rows, k, alpha, a, stride);
}

static void few_pairs(bool transposed, int64_t rows, int64_t n, int64_t k, const float *panel,
                      const float *b, int64_t stride, float beta, float *c, int64_t stride_c)
{
    gemm_avx512_few(GEMM_PAIRS, transposed, rows, n, k, panel, b, stride, beta, c, stride_c);
}

static void heads_pairs(bool transposed, int64_t heads, int64_t n, int64_t k, const float *panel,
                        const float *b, int64_t stride, int64_t apart, float beta, float *c,
                        int64_t stride_c)
{
    gemm_avx512_heads(GEMM_PAIRS, transposed, heads, n, k, panel, b, stride, apart, beta, c,
                      stride_c);
}

static void row_pairs(int64_t n, int64_t units, const float *a, const float *b, int64_t apart,
                      float beta, float *c)
{
    gemm_avx512_row(GEMM_PAIRS, n, units, a, b, apart, beta, c);
}

AVX512 static void tile_pairs(int64_t rows, int64_t columns, int64_t units, const float *a,
                              const float *b, float beta, const float *from, int64_t stride_from,
                              float *c, int64_t stride_c, const gemm_ahead *ahead)
{
    tile(GEMM_PAIRS, rows, 1, LINE, columns, units, a, b, beta, from, stride_from, c, stride_c,
         ahead);
}

/* One value per unit, but whole pairs, as the places in a pair are exchanged. */
static void pack_b_swapped(float *panels, bool transposed, int64_t k, int64_t n, const float *b,
                           int64_t stride)
{
    gemm_avx512_pack_b(GEMM_SWAPPED, panels, transposed, (k + 1) / 2 * 2, k, n, b, stride);
}

static void pack_a_swapped(float *panel, bool transposed, int64_t rows, int64_t k, float alpha,
                           const float *a, int64_t stride)
{
    gemm_avx512_pack_a(GEMM_SWAPPED, panel, transposed, (k + 1) / 2 * 2, rows, k, alpha, a, stride);
}

static void pack_few_swapped(float *panel, int64_t rows, int64_t k, float alpha, const float *a,
                             int64_t stride)
{
    gemm_avx512_pack_rows(GEMM_SWAPPED, panel, false, (k + 1) / 2 * 2, rows, k, alpha, a, stride);
}

static void few_swapped(bool transposed, int64_t rows, int64_t n, int64_t k, const float *panel,
                        const float *b, int64_t stride, float beta, float *c, int64_t stride_c)
{
    gemm_avx512_few(GEMM_SWAPPED, transposed, rows, n, k, panel, b, stride, beta, c, stride_c);
}

static void heads_swapped(bool transposed, int64_t heads, int64_t n, int64_t k, const float *panel,
                          const float *b, int64_t stride, int64_t apart, float beta, float *c,
                          int64_t stride_c)
{
    gemm_avx512_heads(GEMM_SWAPPED, transposed, heads, n, k, panel, b, stride, apart, beta, c,
                      stride_c);
}

static bool has_bfloat16(void)
{
    return gemm_avx512_supported() && __builtin_cpu_supports("avx512bf16");
}

/* Measured: Intel's vdpbf16ps (Sapphire Rapids) takes as long as four multiply-adds that do as much
 * as two; AMD's (Zen 4) as long as one. */
static bool pairs_are_slow(void)
{
    return __builtin_cpu_is("intel");
}

/* Measured, 8 texts of a model: on Intel (Sapphire Rapids) the large one is 0.8 as fast by tiles;
 * on AMD (Zen 4), where turning b in registers takes turns with multiplying, medium is 1.2 times as
 * fast. */
static bool turning_is_slow(void)
{
    return __builtin_cpu_is("amd");
}

const gemm_kernel GEMM_AVX512_FLOAT32 = {.name = "avx512",
                                         .chain = GEMM_FLOAT32,
                                         .supported = gemm_avx512_supported,
                                         .rows = ROWS,
                                         .columns = COLUMNS,
                                         .panel = LINE * GEMM_UNITS,
                                         .step = LINE,
                                         .depth = 1,
                                         .whole = 1,
                                         .pack_b = pack_b_floats,
                                         .pack_a = pack_a_floats,
                                         .tile = tile_floats,
                                         .tile_unpacked = tile_unpacked,
                                         .pack_few = pack_few_floats,
                                         .few = few_floats,
                                         .heads = heads_floats,
                                         .few_are_slow = turning_is_slow,
                                         .row = row_floats};

const gemm_kernel GEMM_AVX512_BFLOAT16 = {.name = "avx512_bf16",
                                          .chain = GEMM_BFLOAT16,
                                          .supported = has_bfloat16,
                                          .slow = pairs_are_slow,
                                          .rows = ROWS,
                                          .columns = COLUMNS,
                                          .panel = LINE * GEMM_UNITS,
                                          .step = LINE,
                                          .depth = 2,
                                          .whole = 2,
                                          .flushes = true,
                                          .pack_b = pack_b_pairs,
                                          .pack_a = pack_a_pairs,
                                          .tile = tile_pairs,
                                          .pack_few = pack_few_pairs,
                                          .few = few_pairs,
                                          .heads = heads_pairs,
                                          .row = row_pairs};

/* The chain of vdpbf16ps by multiply-adds of floats that were rounded while they were packed: same
 * bits, twice the packed bytes. */
const gemm_kernel GEMM_AVX512_ROUNDED = {.name = "avx512 bfloat16",
                                         .chain = GEMM_BFLOAT16,
                                         .supported = gemm_avx512_supported,
                                         .rows = ROWS,
                                         .columns = COLUMNS,
                                         .panel = LINE * GEMM_UNITS,
                                         .step = LINE,
                                         .depth = 1,
                                         .whole = 2,
                                         .flushes = true,
                                         .pack_b = pack_b_swapped,
                                         .pack_a = pack_a_swapped,
                                         .tile = tile_floats,
                                         .pack_few = pack_few_swapped,
                                         .few = few_swapped,
                                         .heads = heads_swapped,
                                         .row = row_floats};
#endif
