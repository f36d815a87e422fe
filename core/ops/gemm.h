/* Matrix products of our own in float, whose bits are the same on every processor and for any
 * number of rows: an element is ONE chain of fused multiply-adds over k, in the order of k,
 * whatever the blocks, the threads and the vectors that compute it.
 *
 *   float32            s = fma(a[i, p], b[p, j], s)                            p = 0, 1, ...
 *   bfloat16           both rounded; for p = 0, 2, ...: s = fma(a[i, p + 1], b[p + 1, j], s), then
 *                      s = fma(a[i, p], b[p, j], s): what vdpbf16ps computes
 *   bfloat16, tiles    both rounded; for 32 values of k at a time: x, y = 0; 16 times x = fma(even
 *                      ones), y = fma(odd ones); s = s + (x + y): what AMX's tdpbf16ps computes
 *
 * s begins as beta c, or as 0 where beta is 0; a is multiplied by alpha before all else. k is
 * filled up with zeros to whole pairs, or 32s; results and operands of the two bfloat16 chains that
 * are below 2^-126 count as zero, as they do for those instructions. */
#pragma once

#include "core/ops/gemm_kernel.h"

/* The fastest kernel of a chain that this processor has. */
const gemm_kernel *gemm_best(gemm_chain chain);
/* The one of those whose packed operands take the fewest bytes, whether it is fast or not. */
const gemm_kernel *gemm_smallest(gemm_chain chain);
/* All kernels, for tests: NULL after the last. */
const gemm_kernel *gemm_at(int index);
bool gemm_supported(const gemm_kernel *g);

/* c [m, n] = alpha op(a) op(b) + beta c: blas_gemm's contract, for sizes of at least 1. With a row
 * [n] it is that in every row of c, not beta c, to which the product is added (NULL: none). */
void gemm_run(const gemm_kernel *g, bool transpose_a, bool transpose_b, int64_t m, int64_t n,
              int64_t k, float alpha, const float *a, int64_t stride_a, const float *b,
              int64_t stride_b, const float *row, float beta, float *c, int64_t stride_c);

/* As many products of one row as there are heads, c[h] [n] = alpha a[h] op(b[h]), where b[h] begins
 * `apart` floats behind b[h - 1]: heads that lie side by side are read in the order of memory. */
void gemm_run_heads(const gemm_kernel *g, bool transpose_b, int64_t heads, int64_t n, int64_t k,
                    float alpha, const float *a, int64_t stride_a, const float *b, int64_t stride_b,
                    int64_t apart, float *c, int64_t stride_c);

/* op(b) [k, n], packed once for many products. */
typedef struct gemm_packed {
    const gemm_kernel *g;
    int64_t k, n;
    float *panels; /* [gemm_packed_floats], the caller's */
} gemm_packed;

/* Parts of a packed b begin at multiples of this many columns or values of k. */
enum { GEMM_PART = 32 };

int64_t gemm_packed_floats(const gemm_kernel *g, int64_t k, int64_t n);
void gemm_pack(const gemm_packed *p, bool transpose_b, const float *b, int64_t stride_b);

/* gemm_run for the part of b from [first_k, first_n] on, whose k and n may reach beyond b to the
 * next multiple of GEMM_PART: there b is zero. */
void gemm_run_packed(const gemm_packed *b, int64_t first_k, int64_t first_n, bool transpose_a,
                     int64_t m, int64_t n, int64_t k, float alpha, const float *a, int64_t stride_a,
                     const float *row, float beta, float *c, int64_t stride_c);

/* Columns first_n to first_n + n of a packed c [k, n] = alpha a^T b + beta c, a [b's k, c's k]: a
 * sum that products read between additions is then not packed for each of them. By kernels of
 * float32, whose units are numbers; what fills up c's last panel is left as it was. */
void gemm_run_into(const gemm_packed *c, int64_t first_n, int64_t n, const gemm_packed *b,
                   float alpha, const float *a, int64_t stride_a, float beta);
void gemm_unpack(const gemm_packed *p, float *b, int64_t stride_b);
