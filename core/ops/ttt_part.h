/* One part of a linear model that learns from what it reads: see ops_recurrent.h for the op.
 *
 * A part is n positions of one chunk, from its i0-th on. It begins with W, b (as the chunk began)
 * and, of the chunk's earlier positions, the sums M = sum lr k^T dz, m = sum lr dz. Rows of Q, K, V
 * are its queries, keys, values; n() is the layer norm of a row without gain and bias.
 *
 *   Z = K W + b;  e = gain n(Z) + bias + K - V;  dZ = the gradient of e.e / 2 in Z
 *   A_ij = (q_i . k_j + 1) lr_j for j <= i
 *   C = A dZ + Q M + m;  U = Q W + b - pos C;  Y = Q + gain n(U) + bias       (pos: of each row)
 *   M' = M + (lr K)^T dZ, m' likewise; where the chunk ends W' = W - pos_last M', M' = 0
 *
 * and backwards, with W^, M^ the gradients of W' and M' (b^ and m^ go with them), where the chunk
 * ends first M^ = - pos_last W^:
 *
 *   dU = layer norm's;  R = pos dU;  dA = - R dZ^T on and below the diagonal;  T = dA lr (columns)
 *   D = - A^T R + lr (K M^ + m^)                                              the gradient of dZ
 *   dQ = dY + dU W^T - R M^T + T K
 *   dK = T^T Q + lr (dZ M^^T) + what D makes of e and Z
 *   dW = W^ + Q^T dU + K^T (D's gradient of Z);  dM = M^ - Q^T R
 *
 * dZ = (g - mean(g) - z mean(g z)) / s with z = n(Z), g = gain e and s the deviation: its backward
 * (the second order) is in second_order. */
#ifndef LOCI_CORE_TTT_PART_H
#define LOCI_CORE_TTT_PART_H

#include "core/ops/tape.h"

/* Of a call. */
typedef struct ttt_sizes {
    int64_t rows, time, heads, dim, width, parts, longest;
    int64_t state; /* numbers of W and b */
} ttt_sizes;

/* One part of one row and head; gradients are NULL where they are not wanted. */
typedef struct ttt_part {
    int64_t n, first;                 /* positions; the first one's place in its chunk */
    bool ends;                        /* the chunk ends behind them */
    const real *q, *k, *v, *lr, *pos; /* lr: heads apart */
    const real *gain, *bias;          /* [dim] */
    real *y;
    const real *dy;
    real *dq, *dk, *dv, *dlr, *dpos, *dgain, *dbias;
} ttt_part;

typedef struct ttt_work {
    const gemm_kernel *g;
    real *w, *sum;           /* W and b (backwards: M and m before), M and m: [dim + 1, dim] */
    real *hat, *s, *e, *dz;  /* n(Z), deviations [n], e, dZ: [n, dim] */
    real *dots, *a;          /* q . k + 1 and A: [n, n] */
    real *c, *u, *uhat, *us; /* C; U, and scratch before and after; n(U), its deviations */
    /* backwards */
    real *dw, *dsum;       /* W^, M^ */
    real *du, *r, *d, *dk; /* [n, dim] */
    real *da, *row;        /* [n, n], [dim] */
} ttt_work;

/* In the tape's scratch memory; `back`: for ttt_part_backward, too. */
ttt_work ttt_part_work(tape *t, const ttt_sizes *n, bool back);

/* Writes p->y. start is W and b, sum M and m; both [dim + 1, dim] become those behind the part. */
void ttt_part_forward(const ttt_work *w, const ttt_sizes *n, const ttt_part *p, real *start,
                      real *sum, real eps);

/* start is W and b, sum M and m where the part begins; sum may be changed. Adds to the part's
 * gradients; w->dw and w->dsum hold W^ and M^, and in the end dW and dM. */
void ttt_part_backward(const ttt_work *w, const ttt_sizes *n, const ttt_part *p, const real *start,
                       real *sum, real eps);

#endif
