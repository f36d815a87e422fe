/* Ops for layers that carry a matrix from position to position and change it by each. What is
 * carried is a tensor like any other: gradients flow through it. */
#pragma once

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

/* ---- core/ops/op_ttt.c ---- */

/* A model per head that learns from each chunk of positions (TTT, Sun et al. 2024,
 * arXiv:2407.04620, sec. 2.3 to 2.5, the dual form): linear, f(x) = x W + b, or of two layers, f(x)
 * = gelu(x W + b) W2 + b2 (TTT-MLP). n() is a layer norm without gain and bias; W, b, ... are what
 * the head's weights are where the chunk of position i begins, j <= i positions of it:
 *
 *   dW_j = the gradient in W of |gain n(f(k_j)) + bias + k_j - v_j|^2 / 2, likewise of b, W2, b2
 *   W_i = W - pos[i] sum_j lr_j dW_j, likewise b_i, ...
 *   y_i = q_i + gain n(f_i(q_i)) + bias                                       f_i with W_i, b_i,
 * ...
 *
 * i counts from 0 in its chunk; the next one begins with the last position's weights. Chunks are
 * counted from where a block begins, and end where it ends: the call begins `phase` positions into
 * a block.
 *
 * q, k, v [rows, time, heads dim]; lr [rows, time, heads]; pos [chunk or longer]; gain, bias [heads
 * dim]; where all begins w [heads dim, out], b [heads out] with out = dim, or `hidden` of two
 * layers, then w2 [heads hidden, dim], b2 [heads dim]. start, sum [rows, heads, state] (or another
 * shape of as many numbers) or NULL (zero): what the call before handed on, a head's W, b, W2, b2
 * one behind the other: what they are more than w, b, ... where the chunk began, and, inside a
 * chunk, the sums so far. Gradients flow through the inner gradient, too. */
typedef struct ttt_rule {
    tensor *q, *k, *v, *lr, *pos, *gain, *bias, *w, *b, *w2, *b2, *start, *sum;
    int64_t heads, hidden; /* hidden 0: linear */
    int64_t chunk, block, phase;
    real eps;
} ttt_rule;

/* Numbers of a head's weights. */
int64_t op_ttt_state(int64_t dim, int64_t hidden);

/* y [rows, time, heads dim]; *last and *last_sum (both or neither NULL) receive start and sum of
 * the next call: [rows, heads (dim + 1), dim], of two layers [rows, heads, state]. */
tensor *op_ttt(tape *t, const ttt_rule *in, tensor **last, tensor **last_sum);

/* Multiply-adds of the forward pass per position and number of a head's output, over a block. */
double op_ttt_products(int64_t dim, int64_t hidden, int64_t chunk, int64_t block);
