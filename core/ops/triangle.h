/* Products with lower triangles [n, n], as positions make that see only themselves and earlier
 * ones: in strips of rows, so that most of what lies above the diagonal is neither computed nor
 * read. What lies there within a strip's own square is computed, and is read: the caller keeps it
 * zero. Bits do not depend on the strips, as an element of a product is one chain (gemm.h). */
#pragma once

#include "core/ops/blas.h"

/* Multiply-adds of a product with a triangle, per column; of the products within triangle_solve. */
double triangle_elements(int64_t n);
double triangle_solve_elements(int64_t n);

/* Zero from column `from` on in row i, as far as it is read. */
void triangle_clear(real *m, int64_t n, int64_t i, int64_t from);

/* Room in the arena to pack the right-hand side of a product once, instead of the part that each
 * strip reads for that strip: worth it where rows are wide. Of n rows of `width` numbers at most.
 */
gemm_packed triangle_room(arena *a, const gemm_kernel *g, int64_t n, int64_t width);

/* m = alpha a b^T on and below the diagonal; a, b [n, k]. room NULL: strips pack for themselves. */
void triangle_scores(const gemm_kernel *g, int64_t n, int64_t k, real alpha, const real *a,
                     int64_t stride_a, const real *b, int64_t stride_b, real *m,
                     const gemm_packed *room);

/* c [n, width] = alpha m x + beta c, or m^T if turned. */
void triangle_times(const gemm_kernel *g, bool turned, int64_t n, int64_t width, real alpha,
                    const real *m, const real *x, int64_t stride_x, real beta, real *c,
                    int64_t stride_c, const gemm_packed *room);

/* e + m u = what e holds before, u_i = scale_i e_i; m strictly lower, or, if turned, its transpose,
 * solved from the last row; NULL: u = scale e. e, u [n, width]; scales lie `apart`. */
void triangle_solve(const gemm_kernel *g, bool turned, int64_t n, int64_t width, const real *m,
                    const real *scale, int64_t apart, real *e, real *u);
