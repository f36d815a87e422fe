#include "core/ops/ttt_step.h"

#include "core/ops/vec.h"

/* The dual form (Sun et al. 2024, sec. 2.5): the weights that answer position i, W - pos_i (M +
 * sum_(j<=i) lr_j k_j^T dz_j), are never formed. Their product with q_i is q_i W + b - pos_i (q_i M
 * + m + sum_(j<=i) (q_i . k_j + 1) lr_j dz_j), which for all i is two products with [in, out]
 * matrices and two with an [n, n] one. The 1 is the bias: an input that is always 1.
 *
 * Matrices are [in + 1, out] with the bias as their last row, so sums and gradients of both are
 * added as one stretch of memory. */

ttt_step ttt_step_work(tape *t, int64_t longest, int64_t in, int64_t out, bool back)
{
    arena *a = tape_scratch(t);
    int64_t square = longest * longest, wide = longest * out;
    ttt_step s = {.g = tape_exact(t),
                  .in = in,
                  .out = out,
                  .dz = ARENA_NEW(a, real, wide),
                  .dots = ARENA_NEW(a, real, square),
                  .a = ARENA_NEW(a, real, square),
                  .c = ARENA_NEW(a, real, wide),
                  .u = ARENA_NEW(a, real, wide)};
    if (!back) return s;
    s.r = ARENA_NEW(a, real, wide);
    s.d = ARENA_NEW(a, real, wide);
    s.da = ARENA_NEW(a, real, square);
    s.dk = ARENA_NEW(a, real, longest * in);
    return s;
}

/* The bias first, the product on top of it. */
void ttt_step_affine(const ttt_step *s, real *to, const real *x, int64_t stride, const real *m)
{
    for (int64_t i = 0; i < s->n; i++) {
        vec_copy(to + i * s->out, m + s->in * s->out, s->out);
    }
    blas_gemm(s->g, false, false, s->n, s->out, s->in, 1, x, stride, m, s->out, 1, to, s->out);
}

void ttt_step_outer(const ttt_step *s, real *m, real scale, const real *x, int64_t stride,
                    const real *a)
{
    blas_gemm(s->g, true, false, s->in, s->out, s->n, scale, x, stride, a, s->out, 1, m, s->out);
    for (int64_t i = 0; i < s->n; i++) {
        vec_axpy(m + s->in * s->out, scale, a + i * s->out, s->out);
    }
}

/* ---- forwards ---- */

/* The dots of queries and keys, with 1 for b, and A; both 0 above the diagonal.
 * dots are kept beside A for the gradient of lr, which A has as a factor. */
static void scores(const ttt_step *s)
{
    int64_t n = s->n;
    blas_gemm(s->g, false, true, n, n, s->in, 1, s->q, s->stride, s->k, s->stride, 0, s->dots, n);
    for (int64_t i = 0; i < n; i++) {
        real *dots = s->dots + i * n, *a = s->a + i * n;
        for (int64_t j = 0; j <= i; j++) {
            dots[j] += 1;
            a[j] = dots[j] * s->lr[j * s->heads];
        }
        vec_zero(dots + i + 1, n - i - 1);
        vec_zero(a + i + 1, n - i - 1);
    }
}

void ttt_step_answer(const ttt_step *s, const real *m, const real *sum)
{
    scores(s);
    /* C = A dZ + Q M + m;  U = Q W + b - pos C */
    if (sum) ttt_step_affine(s, s->c, s->q, s->stride, sum);
    blas_gemm(s->g, false, false, s->n, s->out, s->n, 1, s->a, s->n, s->dz, s->out, sum ? 1 : 0,
              s->c, s->out);
    ttt_step_affine(s, s->u, s->q, s->stride, m);
    for (int64_t i = 0; i < s->n; i++) {
        vec_axpy(s->u + i * s->out, -s->pos[i], s->c + i * s->out, s->out);
    }
}

/* C is free by now: ttt_step_answer has used it, except that the backward pass wants C for dpos and
 * calls this before it makes the answers again. */
void ttt_step_learn(const ttt_step *s, real *sum)
{
    int64_t out = s->out;
    for (int64_t i = 0; i < s->n; i++) {
        vec_scaled(s->c + i * out, s->lr[i * s->heads], s->dz + i * out, out);
        vec_add(sum + s->in * out, s->c + i * out, out);
    }
    blas_gemm(s->g, true, false, s->in, out, s->n, 1, s->k, s->stride, s->c, out, 1, sum, out);
}

/* ---- and backwards ---- */

/* R, and what the positions' rates get.
 * From U_i = ... - pos_i C_i. */
static void answer_rates(const ttt_step *s, const real *du, real *dpos)
{
    for (int64_t i = 0; i < s->n; i++) {
        /* dpos_i = - dU_i . C_i;  R = pos dU */
        if (dpos) dpos[i] -= vec_dot(du + i * s->out, s->c + i * s->out, s->out);
        vec_scaled(s->r + i * s->out, s->pos[i], du + i * s->out, s->out);
    }
}

/* T, D and dlr; dZ M^^T as dk.
 * Column j belongs to what was learned from position j, which positions i >= j read. */
static void step_gradients(const ttt_step *s, const real *dsum, real *dlr)
{
    int64_t out = s->out, n = s->n;
    /* dA = - R dZ^T; of A_ij = (q_i . k_j + 1) lr_j and M' = ... + lr_j k_j^T dz_j comes dlr_j */
    blas_gemm(s->g, false, true, n, n, out, -1, s->r, out, s->dz, out, 0, s->da, n);
    ttt_step_affine(s, s->d, s->k, s->stride, dsum); /* K M^ + m^ */
    for (int64_t j = 0; j < n; j++) {
        real lr = s->lr[j * s->heads];
        if (dlr) dlr[j * s->heads] += vec_dot(s->d + j * out, s->dz + j * out, out);
        vec_scale(s->d + j * out, lr, out);
        for (int64_t i = j; i < n; i++) {
            real *da = &s->da[i * n + j];
            if (dlr) dlr[j * s->heads] += *da * s->dots[i * n + j];
            *da *= lr;
        }
    }
    for (int64_t i = 0; i < n; i++) {
        /* The product filled the future; T must not have it. */
        vec_zero(s->da + i * n + i + 1, n - i - 1);
    }
    /* D = lr (K M^ + m^) - A^T R;  dK = lr (dZ M^^T), for now */
    blas_gemm(s->g, true, false, n, out, n, -1, s->a, n, s->r, out, 1, s->d, out);
    blas_gemm(s->g, false, true, n, s->in, out, 1, s->dz, out, dsum, out, 0, s->dk, s->in);
    for (int64_t j = 0; j < n; j++) {
        vec_scale(s->dk + j * s->in, s->lr[j * s->heads], s->in);
    }
}

void ttt_step_backward(const ttt_step *s, const real *du, const real *m, const real *sum,
                       const real *dsum, real *dq, int64_t dq_stride, real *dlr, real *dpos)
{
    int64_t in = s->in, out = s->out, n = s->n;
    answer_rates(s, du, dpos);
    step_gradients(s, dsum, dlr);
    /* dQ += dU W^T - R M^T + T K */
    /* Three ways from q to U: by W, by the earlier sums, by the dots. */
    if (dq) {
        blas_gemm(s->g, false, true, n, in, out, 1, du, out, m, out, 1, dq, dq_stride);
        if (sum)
            blas_gemm(s->g, false, true, n, in, out, -1, s->r, out, sum, out, 1, dq, dq_stride);
        blas_gemm(s->g, false, false, n, in, n, 1, s->da, n, s->k, s->stride, 1, dq, dq_stride);
    }
}

void ttt_step_keys(const ttt_step *s)
{
    blas_gemm(s->g, true, false, s->n, s->in, s->n, 1, s->da, s->n, s->q, s->stride, 1, s->dk,
              s->in);
}

void ttt_step_weights(const ttt_step *s, const real *du, real *dw, real *dsum, bool goes_on)
{
    ttt_step_outer(s, dw, 1, s->q, s->stride, du);
    if (goes_on) ttt_step_outer(s, dsum, -1, s->q, s->stride, s->r);
}
