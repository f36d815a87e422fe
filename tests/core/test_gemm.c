#include "core/ops/bfloat16.h"
#include "core/ops/gemm.h"
#include "tests/support/gradcheck.h"
#include "tests/test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One product: sizes, where operands lie, and what is done to them. */
typedef struct product {
    bool ta, tb;
    int64_t m, n, k, gap; /* gap: what rows are longer than what is used of them */
    float alpha, beta;
} product;

/* ---- the chains, element by element ---- */

/* What the bfloat16 instructions make of results below 2^-126. */
static float flushed(float x)
{
    return fabsf(x) < 0x1p-126f ? copysignf(0, x) : x;
}

static float chain_float32(const float *a, const float *b, int64_t k, float s)
{
    for (int64_t p = 0; p < k; p++) {
        s = fmaf(a[p], b[p], s);
    }
    return s;
}

static float chain_bfloat16(const float *a, const float *b, int64_t k, float s)
{
    for (int64_t p = 0; p < k; p += 2) {
        s = flushed(fmaf(a[p + 1], b[p + 1], s));
        s = flushed(fmaf(a[p], b[p], s));
    }
    return s;
}

static float chain_tiles(const float *a, const float *b, int64_t k, float s)
{
    for (int64_t p = 0; p < k; p += 32) {
        float even = 0, odd = 0;
        for (int64_t q = p; q < p + 32; q += 2) {
            even = flushed(fmaf(a[q], b[q], even));
            odd = flushed(fmaf(a[q + 1], b[q + 1], odd));
        }
        s = flushed(s + flushed(even + odd));
    }
    return s;
}

/* What a chain reads of an operand: for each row (column) its k values side by side, rounded as the
 * chain rounds, with zeros up to whole steps. `stride` between values of k that are `apart`, else
 * between rows. */
static float *operand(gemm_chain chain, float scale, bool apart, int64_t rows, int64_t k,
                      int64_t whole, const float *from, int64_t stride)
{
    float *values = calloc((size_t)(rows * whole), sizeof *values);
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t p = 0; p < k; p++) {
            float x = apart ? from[p * stride + i] : from[i * stride + p];
            if (chain == GEMM_FLOAT32)
                x *= scale;
            else
                x = bfloat16_value(bfloat16_of(flushed(x) * scale));
            values[i * whole + p] = x;
        }
    }
    return values;
}

static float element(gemm_chain chain, const float *row, const float *column, int64_t k, float s)
{
    if (chain == GEMM_FLOAT32) return chain_float32(row, column, k, s);
    if (chain == GEMM_BFLOAT16) return chain_bfloat16(row, column, k, s);
    return chain_tiles(row, column, k, s);
}

/* ---- comparisons ---- */

static bool same_bits(float x, float y)
{
    return memcmp(&x, &y, sizeof x) == 0 || (isnan(x) && isnan(y));
}

static void fill(float *x, int64_t n, uint32_t seed, void (*spoil)(float *, int64_t))
{
    real *values = malloc((size_t)n * sizeof *values);
    fill_uniform(values, n, seed);
    for (int64_t i = 0; i < n; i++) {
        x[i] = (float)values[i];
    }
    free(values);
    if (spoil) spoil(x, n);
}

typedef struct buffers {
    int64_t sa, sb, sc, cells;
    float *a, *b, *c, *expected;
} buffers;

static buffers buffers_new(const product *x, void (*spoil)(float *, int64_t))
{
    buffers f = {.sa = (x->ta ? x->m : x->k) + x->gap,
                 .sb = (x->tb ? x->k : x->n) + x->gap,
                 .sc = x->n + x->gap};
    int64_t na = (x->ta ? x->k : x->m) * f.sa, nb = (x->tb ? x->n : x->k) * f.sb;
    f.cells = x->m * f.sc;
    /* To the byte: a sanitizer sees what is read beyond. */
    f.a = malloc((size_t)(na - x->gap) * sizeof(float));
    f.b = malloc((size_t)(nb - x->gap) * sizeof(float));
    f.c = malloc((size_t)f.cells * sizeof(float));
    f.expected = malloc((size_t)f.cells * sizeof(float));
    fill(f.a, na - x->gap, 1, spoil);
    fill(f.b, nb - x->gap, 2, spoil);
    fill(f.c, f.cells, 3, NULL);
    return f;
}

static void buffers_free(buffers *f)
{
    free(f->a);
    free(f->b);
    free(f->c);
    free(f->expected);
}

/* f->expected from f->c. */
static void follow_chains(gemm_chain chain, const product *x, const buffers *f)
{
    static const int64_t steps[GEMM_CHAINS] = {1, 2, 32};
    int64_t whole = (x->k + steps[chain] - 1) / steps[chain] * steps[chain];
    float *rows = operand(chain, x->alpha, x->ta, x->m, x->k, whole, f->a, f->sa);
    float *columns = operand(chain, 1, !x->tb, x->n, x->k, whole, f->b, f->sb);
    for (int64_t i = 0; i < x->m; i++) {
        for (int64_t j = 0; j < x->n; j++) {
            float old = f->c[i * f->sc + j], s = 0;
            if (x->beta != 0 && chain == GEMM_FLOAT32) s = x->beta * old;
            if (x->beta != 0 && chain != GEMM_FLOAT32) s = flushed(x->beta * flushed(old));
            f->expected[i * f->sc + j] =
                element(chain, rows + i * whole, columns + j * whole, whole, s);
        }
    }
    free(rows);
    free(columns);
}

static void same_as_expected(const gemm_kernel *g, const product *x, const buffers *f)
{
    for (int64_t i = 0; i < f->cells; i++) {
        EXPECT(same_bits(f->c[i], f->expected[i]),
               "%s: %d%d %lld x %lld x %lld, alpha %g, beta %g: [%lld, %lld] is %a, not %a",
               g->name, x->ta, x->tb, (long long)x->m, (long long)x->n, (long long)x->k,
               (double)x->alpha, (double)x->beta, (long long)(i / f->sc), (long long)(i % f->sc),
               (double)f->c[i], (double)f->expected[i]);
        if (!same_bits(f->c[i], f->expected[i])) break;
    }
}

/* All kernels of the chain: what they make of the same operands was computed once. */
static void check(gemm_chain chain, const product *x, void (*spoil)(float *, int64_t))
{
    buffers f = buffers_new(x, spoil);
    float *old = malloc((size_t)f.cells * sizeof(float));
    memcpy(old, f.c, (size_t)f.cells * sizeof(float));
    memcpy(f.expected, f.c, (size_t)f.cells * sizeof(float));
    follow_chains(chain, x, &f);
    for (int64_t i = 0; i < f.cells && x->beta == 0; i++) {
        if (i % f.sc < x->n) old[i] = NAN; /* may hold anything */
    }
    for (int i = 0; gemm_at(i); i++) {
        const gemm_kernel *g = gemm_at(i);
        if (g->chain != chain || !gemm_supported(g)) continue;
        memcpy(f.c, old, (size_t)f.cells * sizeof(float));
        gemm_run(g, x->ta, x->tb, x->m, x->n, x->k, x->alpha, f.a, f.sa, f.b, f.sb, NULL, x->beta,
                 f.c, f.sc);
        same_as_expected(g, x, &f);
    }
    free(old);
    buffers_free(&f);
}

/* Around the sizes of tiles (6 x 16, 14 x 32, 32 x 32), of vectors and of blocks of k and columns.
 */
static const int64_t SIZES[][3] = {
    {1, 1, 1},     {1, 7, 30},     {7, 1, 31},   {5, 9, 2},     {13, 17, 33},
    {14, 32, 64},  {15, 33, 65},   {32, 32, 32}, {33, 47, 63},  {2, 48, 16},
    {21, 16, 384}, {6, 65, 385},   {3, 20, 770}, {29, 31, 100}, {17, 513, 40},
    {1, 64, 96},   {40, 5, 3},     {64, 64, 17}, {9, 15, 769},  {12, 49, 15},
    {1, 150, 40},  {31, 16, 1537}, {8, 33, 24},  {130, 20, 70}, {97, 513, 33}};

static void every_shape(gemm_chain chain)
{
    for (size_t i = 0; i < sizeof SIZES / sizeof *SIZES; i++) {
        for (int bits = 0; bits < 4; bits++) {
            for (int gap = 0; gap < 4; gap += 3) {
                product x = {.ta = bits & 1,
                             .tb = bits & 2,
                             .m = SIZES[i][0],
                             .n = SIZES[i][1],
                             .k = SIZES[i][2],
                             .gap = gap,
                             .alpha = 1,
                             .beta = 0};
                check(chain, &x, NULL);
                x.beta = 1;
                check(chain, &x, NULL);
                x.alpha = 0.3f;
                x.beta = -0.7f;
                check(chain, &x, NULL);
            }
        }
    }
}

static void one_chain_per_element(void)
{
    for (int chain = 0; chain < GEMM_CHAINS; chain++) {
        every_shape((gemm_chain)chain);
    }
}

/* Infinities, NaNs, and numbers so small that products and sums fall below 2^-126. */
static void with_infinities(float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i += 37) {
        x[i] = i % 2 ? INFINITY : i % 3 ? NAN : -INFINITY;
    }
}

static void tiny(float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        x[i] = i % 11 ? ldexpf(x[i], -62 - (int)(i % 4)) : i % 2 ? 0x1p-130f : -0x1.8p-149f;
    }
}

static void huge(float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        x[i] = ldexpf(x[i], i % 5 ? 60 : 127);
    }
}

static void signed_zeros(float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        x[i] = i % 3 ? x[i] : x[i] < 0 ? -0.0f : 0.0f;
    }
}

static void odd_numbers(gemm_chain chain)
{
    static void (*const spoils[])(float *, int64_t) = {with_infinities, tiny, huge, signed_zeros};
    for (int s = 0; s < 4; s++) {
        for (int bits = 0; bits < 8; bits++) {
            product x = {.ta = bits & 1,
                         .tb = bits & 2,
                         .m = 19,
                         .n = 37,
                         .k = 71,
                         .gap = 1,
                         .alpha = bits & 4 ? 0.5f : 1,
                         .beta = (float)(bits >> 2)};
            check(chain, &x, spoils[s]);
        }
    }
}

static void numbers_of_every_kind(void)
{
    for (int chain = 0; chain < GEMM_CHAINS; chain++) {
        odd_numbers((gemm_chain)chain);
    }
}

/* ---- a row is the same however many there are ---- */

static void for_each_kernel(void (*run)(const gemm_kernel *g))
{
    for (int i = 0; gemm_at(i); i++) {
        if (gemm_supported(gemm_at(i))) run(gemm_at(i));
    }
}

static void rows_alone(const gemm_kernel *g)
{
    const product x = {.tb = true, .m = 45, .n = 70, .k = 403, .alpha = 1};
    buffers f = buffers_new(&x, NULL);
    gemm_run(g, false, true, x.m, x.n, x.k, 1, f.a, f.sa, f.b, f.sb, NULL, 0, f.c, f.sc);
    for (int64_t i = 0, rows; i < x.m; i += rows) {
        rows = MIN(1 + i % 5, x.m - i);
        gemm_run(g, false, true, rows, x.n, x.k, 1, f.a + i * f.sa, f.sa, f.b, f.sb, NULL, 0,
                 f.expected + i * f.sc, f.sc);
    }
    EXPECT(memcmp(f.c, f.expected, (size_t)f.cells * sizeof(float)) == 0, "%s", g->name);
    buffers_free(&f);
}

static void rows_do_not_depend_on_their_number(void)
{
    for_each_kernel(rows_alone);
}

/* ---- b packed once ---- */

/* Any part of b that begins at a whole one, up to the end of b or of its last part. */
static void parts_of(const gemm_kernel *g, bool ta, bool tb, int64_t m, int64_t columns)
{
    const product x = {.ta = ta, .tb = tb, .m = m, .n = columns, .k = 803, .gap = 3, .alpha = 1};
    const int64_t whole_k = 832;
    buffers f = buffers_new(&x, NULL);
    gemm_packed p = {g, x.k, x.n, malloc((size_t)gemm_packed_floats(g, x.k, x.n) * sizeof(float))};
    gemm_pack(&p, tb, f.b, f.sb);
    /* a goes on beyond k, where b is zero */
    float *a = malloc((size_t)(x.m * whole_k) * sizeof(float));
    fill(a, x.m * whole_k, 9, NULL);
    const int64_t sa = ta ? x.m : whole_k;
    for (int64_t first_k = 0; first_k < x.k; first_k += 384 + GEMM_PART) {
        for (int64_t first_n = 0; first_n < x.n; first_n += GEMM_PART) {
            int64_t k = x.k - first_k, n = x.n - first_n, more = whole_k - first_k;
            const float *from = f.b + (tb ? first_n * f.sb + first_k : first_k * f.sb + first_n);
            const float *left = a + (ta ? first_k * sa : first_k);
            gemm_run(g, ta, tb, x.m, n, k, 0.5f, left, sa, from, f.sb, NULL, 0, f.expected, f.sc);
            gemm_run_packed(&p, first_k, first_n, ta, x.m, n, more, 0.5f, left, sa, NULL, 0, f.c,
                            f.sc);
            for (int64_t i = 0; i < x.m; i++) {
                EXPECT(memcmp(f.c + i * f.sc, f.expected + i * f.sc, (size_t)n * sizeof(float)) ==
                           0,
                       "%s %d%d: row %lld from %lld, %lld", g->name, ta, tb, (long long)i,
                       (long long)first_k, (long long)first_n);
            }
        }
    }
    free(p.panels);
    free(a);
    buffers_free(&f);
}

static void parts(const gemm_kernel *g)
{
    for (int bits = 0; bits < 4; bits++) {
        parts_of(g, bits & 1, bits & 2, 45, 70);
        parts_of(g, bits & 1, bits & 2, 1, 5 * GEMM_PART + 7); /* a generated token's row */
    }
}

static void packed_once(void)
{
    for_each_kernel(parts);
}

/* To a row in every row of c, or to c with these rows in it, as b lies and packed. */
static void row_of(const gemm_kernel *g, int64_t m, int64_t columns, int64_t k)
{
    const product x = {.tb = true, .m = m, .n = columns, .k = k, .gap = 3, .alpha = 1};
    buffers f = buffers_new(&x, NULL);
    gemm_packed p = {g, x.k, x.n, malloc((size_t)gemm_packed_floats(g, x.k, x.n) * sizeof(float))};
    float *row = malloc((size_t)x.n * sizeof *row);
    fill(row, x.n, 9, NULL);
    gemm_pack(&p, true, f.b, f.sb);
    for (int64_t i = 0; i < x.m; i++) {
        memcpy(f.expected + i * f.sc, row, (size_t)x.n * sizeof *row);
    }
    gemm_run(g, false, true, x.m, x.n, x.k, 1, f.a, f.sa, f.b, f.sb, NULL, 1, f.expected, f.sc);
    for (int packed = 0; packed < 2; packed++) {
        if (packed) {
            gemm_run_packed(&p, 0, 0, false, x.m, x.n, x.k, 1, f.a, f.sa, row, 0, f.c, f.sc);
        } else {
            gemm_run(g, false, true, x.m, x.n, x.k, 1, f.a, f.sa, f.b, f.sb, row, 0, f.c, f.sc);
        }
        for (int64_t i = 0; i < x.m; i++) {
            EXPECT(memcmp(f.c + i * f.sc, f.expected + i * f.sc, (size_t)x.n * sizeof *row) == 0,
                   "%s, packed %d: row %lld of %lld", g->name, packed, (long long)i, (long long)m);
        }
    }
    free(p.panels);
    free(row);
    buffers_free(&f);
}

static void rows_to_begin_with(const gemm_kernel *g)
{
    row_of(g, 64, 96, 64); /* whole tiles */
    row_of(g, 45, 70, 803);
    row_of(g, 45, 700, 1600); /* more than is packed at a time */
    row_of(g, 5, 70, 803);
    row_of(g, 1, 167, 803);
}

static void sums_that_begin_with_a_row(void)
{
    for_each_kernel(rows_to_begin_with);
}

/* A packed sum of two products, its columns in two parts, against the same sum as it lies. */
static void sums_of(const gemm_kernel *g, int64_t m, int64_t columns)
{
    if (g->chain != GEMM_FLOAT32) return;
    const product x = {.ta = true, .m = m, .n = columns, .k = 403, .gap = 3, .alpha = 1};
    buffers f = buffers_new(&x, NULL);
    gemm_packed b = {g, x.k, x.n, malloc((size_t)gemm_packed_floats(g, x.k, x.n) * sizeof(float))};
    gemm_packed c = {g, x.m, x.n, malloc((size_t)gemm_packed_floats(g, x.m, x.n) * sizeof(float))};
    gemm_pack(&b, false, f.b, f.sb);
    for (int i = 0; i < 2; i++) {
        const float alpha = i ? 0.25f : 1;
        gemm_run(g, true, false, x.m, x.n, x.k, alpha, f.a, f.sa, f.b, f.sb, NULL, (float)i,
                 f.expected, f.sc);
        gemm_run_into(&c, 0, GEMM_PART, &b, alpha, f.a, f.sa, (float)i);
        gemm_run_into(&c, GEMM_PART, x.n - GEMM_PART, &b, alpha, f.a, f.sa, (float)i);
    }
    gemm_unpack(&c, f.c, f.sc);
    for (int64_t i = 0; i < x.m; i++) {
        EXPECT(memcmp(f.c + i * f.sc, f.expected + i * f.sc, (size_t)x.n * sizeof(float)) == 0,
               "%s: row %lld of %lld", g->name, (long long)i, (long long)m);
    }
    free(b.panels);
    free(c.panels);
    buffers_free(&f);
}

static void sums(const gemm_kernel *g)
{
    sums_of(g, 45, 70);
    sums_of(g, 1, 5 * GEMM_PART + 7);
    sums_of(g, 130, 700); /* more than is packed at a time */
}

static void packed_sums(void)
{
    for_each_kernel(sums);
}

/* ---- rounding ---- */

static void rounds_to_nearest_even(void)
{
    static const struct {
        float x, rounded;
    } cases[] = {{1, 1},
                 {0x1.01p0f, 0x1.00p0f}, /* a tie: to the even one below */
                 {0x1.03p0f, 0x1.04p0f}, /* a tie: to the even one above */
                 {0x1.010002p0f, 0x1.02p0f},
                 {-0x1.03p0f, -0x1.04p0f},
                 {0x1.fffffep127f, INFINITY},
                 {0x1.fcp-127f, 0},
                 {-0x1p-149f, -0.0f},
                 {INFINITY, INFINITY}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        float y = bfloat16_value(bfloat16_of(cases[i].x));
        EXPECT(same_bits(y, cases[i].rounded), "%a became %a, not %a", (double)cases[i].x,
               (double)y, (double)cases[i].rounded);
    }
    EXPECT(isnan(bfloat16_value(bfloat16_of(NAN))), "a NaN is lost");
}

static void a_kernel_for_every_chain(void)
{
    for (int c = 0; c < GEMM_CHAINS; c++) {
        const gemm_kernel *g = gemm_best((gemm_chain)c);
        EXPECT(g && g->chain == (gemm_chain)c && g->name[0], "chain %d", c);
    }
}

const test_suite test_gemm = {
    "core/gemm",
    {{"one_chain_per_element", one_chain_per_element},
     {"numbers_of_every_kind", numbers_of_every_kind},
     {"rows_do_not_depend_on_their_number", rows_do_not_depend_on_their_number},
     {"packed_once", packed_once},
     {"sums_that_begin_with_a_row", sums_that_begin_with_a_row},
     {"packed_sums", packed_sums},
     {"rounds_to_nearest_even", rounds_to_nearest_even},
     {"a_kernel_for_every_chain", a_kernel_for_every_chain},
     {0}}};
