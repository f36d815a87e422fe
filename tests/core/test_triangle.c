/* Products and systems of lower triangles against the loops that define them, at the borders of
 * strips and of the columns that are solved at a time. */
#include "core/ops/triangle.h"
#include "tests/support/gradcheck.h"
#include "tests/test.h"

#include <math.h>
#include <string.h>

enum { ROWS = 70, WIDTH = 130, KEYS = 5 };

static const int64_t SIZES[] = {1, 2, 15, 16, 17, 31, 32, 33, 48, 64, 65, 70};
static const int64_t WIDTHS[] = {1, 3, 63, 64, 65, 128, 130};
enum { SIZE_COUNT = sizeof SIZES / sizeof *SIZES, WIDTH_COUNT = sizeof WIDTHS / sizeof *WIDTHS };

static const double RTOL = REAL_IS_DOUBLE ? 1e-12 : 1e-4;

/* NULL: by BLAS. */
static const gemm_kernel *kernel(int use)
{
    return use == 0 || REAL_IS_DOUBLE ? NULL : gemm_best(GEMM_FLOAT32);
}

/* A triangle without its diagonal; NaN where nobody may look. */
static void fill_triangle(real *m, int64_t n, uint32_t seed)
{
    fill_uniform(m, n * n, seed);
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < n; j++) {
            m[i * n + j] = j < i ? m[i * n + j] / 4 : (real)NAN;
        }
        triangle_clear(m, n, i, i);
    }
}

static real at(const real *m, int64_t n, bool turned, int64_t i, int64_t j)
{
    int64_t row = turned ? j : i, column = turned ? i : j;
    return column < row ? m[row * n + column] : 0;
}

static void solution_solves(int64_t n, int64_t width, bool turned, const gemm_kernel *g)
{
    static real m[ROWS * ROWS], b[ROWS * WIDTH], e[ROWS * WIDTH], u[ROWS * WIDTH], scale[2 * ROWS];
    fill_triangle(m, n, 1);
    fill_uniform(b, n * width, 2);
    fill_uniform(scale, 2 * n, 3);
    memcpy(e, b, sizeof e);
    triangle_solve(g, turned, n, width, m, scale, 2, e, u);
    for (int64_t i = 0; i < n * width; i++) {
        int64_t row = i / width, column = i % width;
        double sum = (double)e[i];
        for (int64_t j = 0; j < n; j++) {
            sum += (double)at(m, n, turned, row, j) * (double)u[j * width + column];
        }
        EXPECT(fabs(sum - (double)b[i]) < RTOL, "%lld x %lld, turned %d: %g, not %g at %lld",
               (long long)n, (long long)width, turned, sum, (double)b[i], (long long)i);
        EXPECT(u[i] == scale[2 * row] * e[i], "u is not the scaled e");
    }
}

static void product_multiplies(int64_t n, int64_t width, bool turned, const gemm_kernel *g)
{
    static real m[ROWS * ROWS], x[ROWS * WIDTH], c[ROWS * WIDTH], before[ROWS * WIDTH];
    fill_triangle(m, n, 4);
    fill_uniform(x, n * width, 5);
    fill_uniform(c, n * width, 6);
    memcpy(before, c, sizeof c);
    triangle_times(g, turned, n, width, (real)0.5, m, x, width, (real)0.25, c, width, NULL);
    for (int64_t i = 0; i < n * width; i++) {
        double sum = 0.25 * (double)before[i];
        for (int64_t j = 0; j < n; j++) {
            sum += 0.5 * (double)at(m, n, turned, i / width, j) * (double)x[j * width + i % width];
        }
        EXPECT(fabs(sum - (double)c[i]) < RTOL, "%lld x %lld, turned %d: %g, not %g at %lld",
               (long long)n, (long long)width, turned, (double)c[i], sum, (long long)i);
    }
}

static void all_of(void (*check)(int64_t, int64_t, bool, const gemm_kernel *))
{
    for (int i = 0; i < SIZE_COUNT * WIDTH_COUNT * 4; i++) {
        check(SIZES[i / 4 / WIDTH_COUNT], WIDTHS[i / 4 % WIDTH_COUNT], i % 2 == 1,
              kernel(i / 2 % 2));
    }
}

static void systems(void)
{
    all_of(solution_solves);
}

static void products(void)
{
    all_of(product_multiplies);
}

/* Without a triangle only the scales are left. */
static void no_triangle(void)
{
    real e[6] = {1, 2, 3, 4, 5, 6}, u[6], scale[3] = {2, 0, -1};
    const real expected[6] = {2, 4, 0, 0, -5, -6};
    triangle_solve(NULL, false, 3, 2, NULL, scale, 1, e, u);
    expect_close("scaled", u, expected, 6, 0, 0);
}

static void scores(void)
{
    real a[ROWS * KEYS], b[ROWS * KEYS];
    static real m[ROWS * ROWS];
    fill_uniform(a, ROWS * KEYS, 7);
    fill_uniform(b, ROWS * KEYS, 8);
    for (int s = 0; s < SIZE_COUNT; s++) {
        int64_t n = SIZES[s];
        triangle_scores(kernel(1), n, KEYS, 2, a, KEYS, b, KEYS, m, NULL);
        for (int64_t i = 0; i < n; i++) {
            for (int64_t j = 0; j <= i; j++) {
                double sum = 0;
                for (int k = 0; k < KEYS; k++) {
                    sum += 2 * (double)a[i * KEYS + k] * (double)b[j * KEYS + k];
                }
                EXPECT(fabs(sum - (double)m[i * n + j]) < RTOL, "%lld: %g, not %g", (long long)n,
                       (double)m[i * n + j], sum);
            }
        }
    }
}

/* What costs are declared with is what is multiplied. */
static void declared_products(void)
{
    static real m[ROWS * ROWS], x[ROWS * KEYS], c[ROWS * KEYS], scale[ROWS];
    for (int s = 0; s < SIZE_COUNT; s++) {
        int64_t n = SIZES[s];
        double before = blas_flops();
        fill_triangle(m, n, 9);
        triangle_times(NULL, false, n, KEYS, 1, m, x, KEYS, 0, c, KEYS, NULL);
        EXPECT(blas_flops() - before == 2 * KEYS * triangle_elements(n), "%lld: other products",
               (long long)n);
        before = blas_flops();
        triangle_solve(NULL, true, n, KEYS, m, scale, 1, x, c);
        EXPECT(blas_flops() - before <= 2 * KEYS * triangle_solve_elements(n) + 0.5 &&
                   blas_flops() - before >= 2 * KEYS * triangle_solve_elements(n) - 0.5,
               "%lld: %g flops of the solution", (long long)n, blas_flops() - before);
    }
}

extern const test_suite test_triangle;
const test_suite test_triangle = {"core/triangle",
                                  {{"systems", systems},
                                   {"products", products},
                                   {"no_triangle", no_triangle},
                                   {"scores", scores},
                                   {"declared_products", declared_products},
                                   {0}}};
