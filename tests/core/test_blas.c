#include "core/base/crew.h"
#include "core/ops/blas.h"
#include "tests/support/draw.h"
#include "tests/support/gradcheck.h"
#include "tests/test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 2048 };

/* The definition. */
static void naive(bool ta, bool tb, int64_t m, int64_t n, int64_t k, real alpha, const real *a,
                  int64_t sa, const real *b, int64_t sb, real beta, real *c, int64_t sc)
{
    for (int64_t i = 0; i < m; i++) {
        for (int64_t j = 0; j < n; j++) {
            double sum = 0;
            for (int64_t e = 0; e < k; e++) {
                sum += (double)a[ta ? e * sa + i : i * sa + e] *
                       (double)b[tb ? j * sb + e : e * sb + j];
            }
            real old = beta == 0 ? 0 : beta * c[i * sc + j];
            c[i * sc + j] = (real)((double)alpha * sum) + old;
        }
    }
}

static void check(const gemm_kernel *g, bool ta, bool tb, int64_t m, int64_t n, int64_t k,
                  real beta)
{
    real a[MOST], b[MOST], c[MOST], expected[MOST];
    const int64_t gap = 3; /* rows are longer than what is used of them */
    int64_t sa = (ta ? m : k) + gap, sb = (tb ? k : n) + gap, sc = n + gap;
    fill_uniform(a, MOST, 1);
    fill_uniform(b, MOST, 2);
    fill_uniform(c, MOST, 3);
    memcpy(expected, c, sizeof c);
    if (beta == 0) {
        /* What beta = 0 overwrites may be anything. */
        for (int64_t i = 0; i < m; i++) {
            for (int64_t j = 0; j < n; j++) {
                c[i * sc + j] = (real)NAN;
            }
        }
    }
    blas_gemm(g, ta, tb, m, n, k, (real)0.75, a, sa, b, sb, beta, c, sc);
    naive(ta, tb, m, n, k, (real)0.75, a, sa, b, sb, beta, expected, sc);
    char what[96];
    snprintf(what, sizeof what, "%d%d %lld x %lld x %lld, beta %g", ta, tb, (long long)m,
             (long long)n, (long long)k, (double)beta);
    /* 30 terms of at most 1 against an rms of 0.6: at most 30 roundings of a sum of about 8, in
     * practice a tenth of it. Elements outside c must be untouched. */
    expect_close(what, c, expected, MOST, REAL_IS_DOUBLE ? 1e-14 : 5e-6, 0);
}

static void like_the_definition(void)
{
    static const int64_t sizes[][3] = {{1, 1, 1},   {1, 7, 30}, {7, 1, 30}, {5, 9, 1}, {13, 17, 30},
                                       {32, 32, 8}, {3, 4, 0},  {1, 4, 0},  {0, 4, 3}, {4, 0, 3}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (int bits = 0; bits < 12; bits++) {
            static const real betas[] = {0, (real)0.5, 1};
            real beta = betas[bits / 4];
            check(NULL, bits & 1, bits & 2, sizes[i][0], sizes[i][1], sizes[i][2], beta);
            check(gemm_best(GEMM_FLOAT32), bits & 1, bits & 2, sizes[i][0], sizes[i][1],
                  sizes[i][2], beta);
        }
    }
}

static void names_the_library(void)
{
    EXPECT(blas_core()[0], "no core name");
}

/* The first products of what is kept, and those of it packed, alone and with helpers: equal bits.
 */
static void kept_for_many(void)
{
    enum { N = 400, K = 90, ROWS = 9, USES = 60 };
    real *b = malloc((size_t)(N * K) * sizeof *b), a[ROWS * K], c[ROWS * N], expected[ROWS * N];
    fill_uniform(b, N * K, 1);
    crew *helpers = crew_new(3, NULL);
    for (int chain = 0; chain < GEMM_CHAINS; chain++) {
        const gemm_kernel *g = gemm_best((gemm_chain)chain);
        arena_auto *memory = arena_new(0);
        blas_kept kept = {.memory = memory};
        for (int use = 0; use < USES; use++) {
            int64_t m = use % 2 ? 1 : 1 + use % ROWS;
            fill_uniform(a, ROWS * K, (uint32_t)use + 2);
            fill_uniform(c, ROWS * N, 3);
            memcpy(expected, c, sizeof c);
            blas_gemm(g, false, true, m, N, K, 1, a, K, b, K, (real)(use % 2), expected, N);
            if (use % 3 == 0) crew_help(helpers);
            blas_gemm_kept(&kept, g, true, m, N, K, a, K, b, NULL, (real)(use % 2), c, N);
            crew_help(NULL);
            EXPECT(memcmp(c, expected, sizeof c) == 0, "%s, use %d", g->name, use);
        }
        EXPECT(REAL_IS_DOUBLE || kept.packed[true].panels, "%s: never packed", g->name);
    }
    crew_free(helpers);
    free(b);
}

/* Both directions of weights that change now and then, packed by one of many: equal bits. */
static void kept_until_changed(void)
{
    enum { OUT = 70, IN = 1100, ROWS = 33, USES = 40 };
    real *w = malloc((size_t)(OUT * IN) * sizeof *w), *x = malloc((size_t)(ROWS * IN) * sizeof *x);
    real *y = malloc((size_t)(ROWS * IN) * sizeof *y),
         *expected = malloc((size_t)(ROWS * IN) * sizeof *y);
    for (int chain = 0; chain < GEMM_CHAINS; chain++) {
        const gemm_kernel *g = gemm_best((gemm_chain)chain);
        arena_auto *memory = arena_new(0);
        blas_kept kept;
        blas_kept_room(&kept, memory, g, OUT, IN);
        for (int use = 0; use < USES; use++) {
            if (use % 8 == 0) {
                fill_uniform(w, OUT * IN, (uint32_t)use);
                blas_kept_changed(&kept);
            }
            bool forward = use % 2;
            int64_t m = use % 5 ? ROWS : 2, n = forward ? OUT : IN, k = forward ? IN : OUT;
            fill_uniform(x, m * k, (uint32_t)use + 2);
            fill_uniform(y, m * n, 3);
            memcpy(expected, y, (size_t)(m * n) * sizeof *y);
            blas_gemm(g, false, forward, m, n, k, 1, x, k, w, forward ? k : n, (real)(use % 3),
                      expected, n);
            blas_gemm_kept(&kept, g, forward, m, n, k, x, k, w, NULL, (real)(use % 3), y, n);
            EXPECT(memcmp(y, expected, (size_t)(m * n) * sizeof *y) == 0, "%s, use %d", g->name,
                   use);
            /* a bias: what x begins with */
            for (int64_t i = 0; i < m; i++) {
                memcpy(expected + i * n, x, (size_t)n * sizeof *x);
            }
            blas_gemm(g, false, forward, m, n, k, 1, x, k, w, forward ? k : n, 1, expected, n);
            blas_gemm_kept(&kept, g, forward, m, n, k, x, k, w, x, 0, y, n);
            EXPECT(memcmp(y, expected, (size_t)(m * n) * sizeof *y) == 0, "%s, use %d: a row",
                   g->name, use);
        }
        EXPECT(REAL_IS_DOUBLE || (kept.held[0] && kept.held[1]), "%s: never packed", g->name);
    }
    free(w);
    free(x);
    free(y);
    free(expected);
}

/* One by one the bits are the same; a, b and c as long as the last of them needs. */
static void heads_of(const gemm_kernel *g, int64_t heads, int64_t d, int64_t keys)
{
    const int64_t sa = MAX(keys, d), sb = heads * d + 3, sc = sa + 3;
    real *a = calloc((size_t)(heads * sa), sizeof *a), *b = calloc((size_t)(keys * sb), sizeof *b);
    real *together = calloc((size_t)(2 * heads * sc), sizeof *together);
    real *alone = together + heads * sc;
    fill_uniform(a, heads * sa, 1);
    fill_uniform(b, keys * sb, 2);
    for (int turned = 0; turned < 2; turned++) {
        int64_t n = turned ? keys : d, k = turned ? d : keys;
        blas_gemm_heads(g, turned, heads, n, k, (real)0.5, a, sa, b, sb, together, sc);
        for (int64_t h = 0; h < heads; h++) {
            blas_gemm(g, false, turned, 1, n, k, (real)0.5, a + h * sa, sa, b + h * d, sb, 0,
                      alone + h * sc, sc);
        }
        EXPECT(memcmp(together, alone, (size_t)(heads * sc) * sizeof *alone) == 0,
               "%s: %lld heads of %lld, %lld keys, turned %d", g->name, (long long)heads,
               (long long)d, (long long)keys, turned);
    }
    free(a);
    free(b);
    free(together);
}

/* Heads of parts of a vector, of one and of several, more of them than are read together, and so
 * wide that one is as much as that; and of no keys. */
static void heads_side_by_side(void)
{
    static const int64_t dims[] = {5, 16, 32, 40, 64, 128, 256, 272, 544};
    for (int i = 0; gemm_at(i); i++) {
        if (!gemm_supported(gemm_at(i))) continue;
        for (size_t j = 0; j < sizeof dims / sizeof *dims; j++) {
            char of[64];
            snprintf(of, sizeof of, "%s %lld", gemm_at(i)->name, (long long)dims[j]);
            if (!drawn_if_slow("heads", of)) continue;
            for (int64_t heads = 1; heads <= 13; heads += heads < 5 ? 1 : 4) {
                heads_of(gemm_at(i), heads, dims[j], 37);
            }
            heads_of(gemm_at(i), 4, dims[j], 403);
            heads_of(gemm_at(i), 4, dims[j], 0);
        }
    }
}

const test_suite test_blas = {"core/blas",
                              {{"like_the_definition", like_the_definition},
                               {"heads_side_by_side", heads_side_by_side},
                               {"kept_for_many", kept_for_many},
                               {"kept_until_changed", kept_until_changed},
                               {"names_the_library", names_the_library},
                               {0}}};
