/* The only door to matrix products, on one thread and its helpers (crew.h): kernels of our own
 * (gemm.h), or BLAS with sizes checked before they are narrowed.
 *
 * Matrices are row-major; the stride of a matrix is the distance between its rows in elements, so
 * that a part of a wider matrix is an operand like any other. The process runs with
 * OMP_NUM_THREADS=1: threads belong to lanes, and the bits of a product do not depend on them. */
#pragma once

#include "core/base/arena.h"
#include "core/ops/gemm.h"

#include <stdatomic.h>

/* By kernel g, or BLAS if g is NULL (or real is double, for which there are no kernels):
 * c [m, n] = alpha op(a) op(b) + beta c, with op(a) [m, k] and op(b) [k, n]; op transposes where
 * asked, so that a is stored [k, m] if transpose_a, b [n, k] if transpose_b. beta 0 overwrites c
 * whatever it held (NaN included). c overlaps neither a nor b. */
void blas_gemm(const gemm_kernel *g, bool transpose_a, bool transpose_b, int64_t m, int64_t n,
               int64_t k, real alpha, const real *a, int64_t stride_a, const real *b,
               int64_t stride_b, real beta, real *c, int64_t stride_c);

/* c[h] [n] = alpha a[h] op(b[h]) for one row a[h] of each of the heads, whose b lie side by side, k
 * (if transposed) or n columns each: what one query reads of keys and values. By a kernel and this
 * thread. */
void blas_gemm_heads(const gemm_kernel *g, bool transpose_b, int64_t heads, int64_t n, int64_t k,
                     real alpha, const real *a, int64_t stride_a, const real *b, int64_t stride_b,
                     real *c, int64_t stride_c);

/* Threads among which products of so much work are worth being shared: the calling one and its
 * helpers (crew.h), or it alone. blas_gemm does so by itself, with kernels only. */
int blas_hands(int64_t m, int64_t n, int64_t k);

/* The same for a b that is packed once for many products (gemm_run_packed). `blas_packed` makes
 * room in the arena, for kernels only: where panels are NULL, products are blas_gemm's. */
gemm_packed blas_packed(arena *m, const gemm_kernel *g, int64_t k, int64_t n);
void blas_pack(const gemm_packed *p, bool transpose_b, const real *b, int64_t stride_b);
void blas_gemm_packed(const gemm_packed *b, int64_t first_k, int64_t first_n, bool transpose_a,
                      int64_t m, int64_t n, int64_t k, real alpha, const real *a, int64_t stride_a,
                      real beta, real *c, int64_t stride_c);

/* c = alpha a^T b + beta c where c itself is packed, for other products to read: a [k, c's k], b
 * [k, c's n]. By kernels of float32; room: of blas_packed, for what b takes. */
void blas_gemm_into(const gemm_packed *c, const gemm_packed *room, int64_t k, real alpha,
                    const real *a, int64_t stride_a, const real *b, int64_t stride_b, real beta);
void blas_unpack(const gemm_packed *p, real *b, int64_t stride_b);

/* Weights W [n, k] that many products have on their right before they change: packed once, whose
 * bits stay what they were. Either by one user (a model that generates text), in `memory` and after
 * some products; or by the first of many threads (the lanes of a step), where blas_kept_room has
 * made room for both directions, until blas_kept_changed. Zeroed otherwise. */
typedef struct blas_kept {
    arena *memory;
    gemm_packed packed[2]; /* for y W and for x W^T; panels NULL: none yet */
    int uses;
    atomic_int held[2]; /* whether the panels that there is room for are W's */
} blas_kept;

void blas_kept_room(blas_kept *kept, arena *m, const gemm_kernel *g, int64_t n, int64_t k);
/* Between products: the next ones have other values. */
void blas_kept_changed(blas_kept *kept);

/* c [m, n] = a op(w) + beta c as by blas_gemm, w without gaps and the same in all calls; kept NULL:
 * by blas_gemm. With a row [n] (a bias) it is that, and not beta c, to which the product is added.
 */
void blas_gemm_kept(blas_kept *kept, const gemm_kernel *g, bool transpose_w, int64_t m, int64_t n,
                    int64_t k, const real *a, int64_t stride_a, const real *w, const real *row,
                    real beta, real *c, int64_t stride_c);

/* 2 m n k of all products of this thread so far: what declared costs are compared with. */
double blas_flops(void);

/* The processor core whose kernels the library chose: recorded with a run. Lives as long as the
 * process. */
const char *blas_core(void);
