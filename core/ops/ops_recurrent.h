/* Ops for layers that carry a matrix from position to position and change it by each. What is
 * carried is a tensor like any other: gradients flow through it. */
#ifndef LOCI_CORE_OPS_RECURRENT_H
#define LOCI_CORE_OPS_RECURRENT_H

#include "core/ops/ops.h"

/* ---- core/ops/op_conv.c ---- */

/* Causal depthwise convolution over time, with an activation behind it:
 *
 *   y[t, c] = act(sum_j w[c, size - 1 - j] x[t - j dilation, c]),  j = 0..size-1
 *
 * x [rows, time, channels], w [channels, size]: the last column is the present position. Positions
 * before the call stand in before [rows, (size - 1) dilation, channels], the newest last; NULL:
 * zeros. *last (last may be NULL) receives what stands before the next call, of that shape; NULL
 * where size is 1. */
tensor *op_conv(tape *t, tensor *x, tensor *w, tensor *before, int64_t dilation, activation kind,
                tensor **last);

/* ---- core/ops/op_delta.c ---- */

/* The gated delta rule (Yang, Kautz & Hatamizadeh 2024, arXiv:2412.06464, eq. 10). Per row and
 * value head, with S [key, value]:
 *
 *   S <- exp(g_t) S;   S <- S + k_t u_t^T;   y_t = scale S^T q_t
 *   u_t = beta_t (v_t - S^T k_t), or beta_t v_t without `correct`; S as exp(g_t) left it
 *
 * q, k [rows, time, heads key]; v [rows, time, value_heads value]; beta, g [rows, time,
 * value_heads], g <= 0 or NULL (no decay; -infinity forgets all); start [rows, value_heads key,
 * value] or NULL (zero). Value head h reads query and key head floor(h heads / value_heads).
 *
 * `chunk` positions at a time are products of matrices and one triangular system (the paper's
 * section 3.3); S exists only where chunks begin, and the backward pass computes what is inside a
 * chunk again. The result does not depend on `chunk` beyond rounding. */
typedef struct delta_rule {
    tensor *q, *k, *v, *beta, *g, *start;
    int64_t heads, value_heads, chunk;
    real scale;
    bool correct;
} delta_rule;

/* y [rows, time, value_heads value]; *last (may be NULL) receives S behind the call. */
tensor *op_delta(tape *t, const delta_rule *in, tensor **last);

/* Multiply-adds of op_delta's products, per position and value head, where chunks are full. */
double op_delta_products(int64_t key, int64_t value, int64_t chunk, bool correct);

#endif
