/* Ops for layers that learn while they read: running sums over earlier positions, and gradients
 * that are themselves differentiable, so that the outer gradient flows through an inner gradient
 * step (Clark et al. 2022, arXiv:2212.02475). core/op_linear_attention.c, core/op_inner_gradient.c
 */
#ifndef LOCI_CORE_OPS_FAST_H
#define LOCI_CORE_OPS_FAST_H

#include "core/tape.h"

/* Strictly causal linear attention with decay, in chunks:
 *
 *   y_i = q_i S_i,   S_0 = start,   S_{i+1} = decay S_i + k_i^T v_i
 *
 * q, k [rows, time, key_width]; v [rows, time, value_width]; start [rows, key_width, value_width]
 * or NULL (zero); y [rows, time, value_width]. 0 < decay <= 1. *last (may be NULL) receives S_time.
 * `chunk` >= 1 positions are handled at a time by products of matrices: the result does not depend
 * on it beyond rounding; cost is time * (2 key value + chunk (key + value)) multiply-adds a row.
 * Keeps one S per chunk for the backward pass. */
tensor *op_linear_attention(tape *t, tensor *q, tensor *k, tensor *v, tensor *start, real decay,
                            int64_t chunk, tensor **last);

/* Exclusive running sum: y_0 = start, y_{i+1} = decay y_i + x_i. x [rows, time, width], start
 * [rows, width] or NULL; *last (may be NULL) receives y_time [rows, width]. */
tensor *op_running_sum(tape *t, tensor *x, tensor *start, real decay, tensor **last);

/* The gradient of op_cross_entropy with respect to its logits, as a differentiable value:
 *   y[i] = scale * weights[i] * (softmax(logits[i]) - onehot(targets[i])).
 * logits [..., vocab]; targets and weights are read at once; weights NULL: all 1; weight 0 gives 0.
 */
tensor *op_cross_entropy_gradient(tape *t, tensor *logits, const int32_t *targets,
                                  const real *weights, real scale);

/* The gradient of u = op_layernorm(x, no gain, no bias, eps) with respect to x, given du, as a
 * differentiable value (of x and of du); all [..., width]. */
tensor *op_layernorm_gradient(tape *t, tensor *x, tensor *du, real eps);

/* The gradient of relu(x)^2 with respect to x, given dy, as a differentiable value: 2 relu(x) dy.
 */
tensor *op_relu2_gradient(tape *t, tensor *x, tensor *dy);

/* a - s b, with the step size s a tensor of one element: a parameter to learn. */
tensor *op_gradient_step(tape *t, tensor *a, tensor *s, tensor *b);

#endif
