/* One part of a model that learns from what it reads: see ops_recurrent.h for the op.
 *
 * A part is n positions of one chunk, from its i0-th on. It begins with the weights as the chunk
 * began and, of the chunk's earlier positions, the sums of their gradients (ttt_step.h). Rows of Q,
 * K, V are its queries, keys, values; n() is the layer norm of a row without gain and bias.
 *
 *   Z = K W + b;  e = gain n(Z) + bias + K - V;  dZ = the gradient of e.e / 2 in Z
 *   Y = Q + gain n(U) + bias                       with U the answers of a step on (Q, K, dZ)
 *   where the chunk ends W' = W - pos_last M', M' = 0
 *
 * and backwards, with W^, M^ the gradients of W' and M' (b^ and m^ go with them), where the chunk
 * ends first M^ = - pos_last W^. The step's D, the gradient of dZ = (g - mean(g) - z mean(g z)) / s
 * with z = n(Z), g = gain e and s the deviation, becomes that of Z: the second order. Then dK += D
 * W^T, dW += K^T D.
 *
 * The two-layer form (hidden > 0) has a step in each layer, the second on what the first answers:
 *
 *   X = f(Z1), Z1 = K W1 + b1;  Z = X W2 + b2, dZ as above;  dZ1 = (dZ W2^T) f'(Z1)
 *   H = f(U1), U1 of the step on (Q, K, dZ1);                U of the step on (H, X, dZ)
 *
 * with f the gelu by its tanh formula, whose second derivative stands in the second order. */
#pragma once

#include "core/ops/ttt_step.h"

/* Of a call. */
typedef struct ttt_sizes {
    int64_t rows, time, heads, dim, hidden, width, parts, longest;
    int64_t first; /* numbers of W1 and b1: W2 and b2 stand behind them; linear: 0 */
    int64_t state; /* numbers of all weights */
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

/* The hidden layer: all [n, hidden]. */
typedef struct ttt_hidden {
    ttt_step step;          /* of W1 */
    real *x, *slope;        /* X and f'(Z1) */
    real *curve, *back;     /* f''(Z1); dZ W2^T */
    real *h, *answer_slope; /* H and f'(U1) */
    real *dh, *du, *dx, *z; /* backwards; Z1 */
} ttt_hidden;

typedef struct ttt_work {
    ttt_step step;       /* of W (W2) */
    ttt_hidden hidden;   /* where there is one */
    real *w, *sum;       /* weights (backwards: sums before), sums: [state] */
    real *hat, *s, *e;   /* n(Z), deviations [n], e */
    real *uhat, *us;     /* n(U), its deviations */
    real *dw, *dsum;     /* backwards: W^, M^ [state] */
    real *du, *de, *row; /* [n, dim], [n, dim], [dim] */
} ttt_work;

/* In the tape's scratch memory; `back`: for ttt_part_backward, too. */
ttt_work ttt_part_work(tape *t, const ttt_sizes *n, bool back);

/* Writes p->y. start has the weights, sum the sums; both [state] become those behind the part. */
void ttt_part_forward(ttt_work *w, const ttt_sizes *n, const ttt_part *p, real *start, real *sum,
                      real eps);

/* start has the weights, sum the sums where the part begins; sum may be changed. Adds to the part's
 * gradients; w->dw and w->dsum hold W^ and M^, and in the end dW and dM. */
void ttt_part_backward(ttt_work *w, const ttt_sizes *n, const ttt_part *p, const real *start,
                       real *sum, real eps);
