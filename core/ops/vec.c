#include "core/ops/vec.h"

/* A sum down a column of thousands of rows in float loses digits with each addition of a small
 * number to a large one. Two levels are enough here: 16 rows from zero, then the runs' sums. The
 * order depends on the number of rows alone, not on threads. */

enum { RUN = 16, TILE = 64 };

/* One run of rows over `n` <= TILE columns; the partial sums stay in registers or L1. */
static void add_run(real *restrict sum, const real *restrict x, int64_t rows, int64_t n,
                    int64_t stride)
{
    real part[TILE] = {0};
    for (int64_t r = 0; r < rows; r++) {
#pragma omp simd
        for (int64_t c = 0; c < n; c++) {
            part[c] += x[r * stride + c];
        }
    }
    vec_add(sum, part, n);
}

void vec_add_columns(real *restrict sum, const real *restrict x, int64_t rows, int64_t width)
{
    for (int64_t r = 0; r < rows; r += RUN) {
        int64_t run = MIN(RUN, rows - r);
        for (int64_t c = 0; c < width; c += TILE) {
            int64_t n = MIN(TILE, width - c);
            /* The constant size lets the compiler keep a whole tile in registers. */
            if (n == TILE) {
                add_run(sum + c, x + r * width + c, run, TILE, width);
            } else {
                add_run(sum + c, x + r * width + c, run, n, width);
            }
        }
    }
}
