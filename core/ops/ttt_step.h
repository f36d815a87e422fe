/* A matrix with a bias that takes gradient steps on what it reads: what linear and two-layer
 * learners (ttt_part.h) are made of.
 *
 * m [in + 1, out] is W with b as its last row. Of n positions of a chunk, rows of Q and K [n, in]
 * are what is asked and what was learned from, dZ [n, out] the gradients there; M, m likewise [in +
 * 1, out] sum up those of the chunk's earlier positions.
 *
 *   A_ij = (q_i . k_j + 1) lr_j for j <= i;  C = A dZ + Q M + m;  U = Q W + b - pos C
 *   M' = M + (lr K)^T dZ, m' likewise
 *
 * and backwards, with M^ the gradient of M':
 *
 *   R = pos dU;  dA = - R dZ^T on and below the diagonal;  T = dA lr (columns)
 *   D = - A^T R + lr (K M^ + m^)                                              the gradient of dZ
 *   dQ = dU W^T - R M^T + T K;  dK = T^T Q + lr (dZ M^^T)
 *   dW = Q^T dU;  dM = M^ - Q^T R */
#pragma once

#include "core/ops/blas.h"
#include "core/ops/tape.h"

typedef struct ttt_step {
    const gemm_kernel *g;
    int64_t n, in, out;
    const real *q, *k; /* rows `stride` apart */
    int64_t stride;
    const real *lr, *pos; /* [n]; lr: `heads` apart */
    int64_t heads;
    real *dz;       /* [n, out] */
    real *dots, *a; /* q . k + 1 and A: [n, n] */
    real *c, *u;    /* C and U: [n, out] */
    /* backwards */
    real *r, *d; /* R and D: [n, out] */
    real *da;    /* T: [n, n] */
    real *dk;    /* [n, in] */
} ttt_step;

/* Memory for `longest` positions in the tape's scratch; `back`: for gradients, too. */
ttt_step ttt_step_work(tape *t, int64_t longest, int64_t in, int64_t out, bool back);

/* to [n, out] = x W + b; x [n, in], rows `stride` apart. */
void ttt_step_affine(const ttt_step *s, real *to, const real *x, int64_t stride, const real *m);
/* m += scale (x^T a), and a's rows into the last one. */
void ttt_step_outer(const ttt_step *s, real *m, real scale, const real *x, int64_t stride,
                    const real *a);

/* dots, A, C and U; sum NULL: the chunk begins here. */
void ttt_step_answer(const ttt_step *s, const real *m, const real *sum);
/* sum becomes M', m'; C is scratch. */
void ttt_step_learn(const ttt_step *s, real *sum);

/* Everything of the part but what flows through dZ, from du [n, out]: R, T, D and dk (T^T Q left
 * out) are written, dq [n, in] (rows dq_stride apart), dlr and dpos (NULL: not wanted) added to.
 * dsum is M^. */
void ttt_step_backward(const ttt_step *s, const real *du, const real *m, const real *sum,
                       const real *dsum, real *dq, int64_t dq_stride, real *dlr, real *dpos);
/* dk += T^T Q: apart, for whoever adds to dk between (bits follow the order of sums). */
void ttt_step_keys(const ttt_step *s);
/* dw += Q^T dU; dsum (where the chunk has earlier positions: `goes_on`) -= Q^T R. */
void ttt_step_weights(const ttt_step *s, const real *du, real *dw, real *dsum, bool goes_on);
