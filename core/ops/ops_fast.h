/* Ops for layers that learn while they read: running sums over earlier positions, and gradients
 * that are themselves differentiable, so that the outer gradient flows through an inner gradient
 * step (Clark et al. 2022, arXiv:2212.02475). core/ops/op_attention_step.c,
 * core/ops/op_running_step.c, core/ops/op_inner_gradient.c */
#pragma once

#include "core/ops/tape.h"

/* Strictly causal linear attention with decay:
 *
 *   c_i = q_i S_i,   S_0 = start,   S_{i+1} = decay S_i + k_i^T v_i
 *
 * q, k [rows, time, key_width]; v [rows, time, value_width]; start [rows, key_width, value_width]
 * or NULL (zero). 0 < decay <= 1. `chunk` >= 1 positions are handled at a time by products of
 * matrices: the result does not depend on it beyond rounding; cost is time * (2 key value +
 * triangle_elements(chunk) / chunk * (key + value)) multiply-adds a row (triangle.h). */
typedef struct causal_sums {
    tensor *q, *k, *v, *start;
    real decay;
    int64_t chunk;
} causal_sums;

/* The step a - s c, with the step size s a tensor of one element: a parameter to learn. a
 * [rows, time, value_width]. Neither c nor the sums are kept: the backward pass adds S up again.
 * *last (last may be NULL) receives S_time. */
tensor *op_attention_step(tape *t, tensor *a, tensor *s, const causal_sums *in, tensor **last);

/* The steps of a linear map, q W^T + b - s c, for one product less: W [value_width, key_width], b
 * [value_width] or NULL. Without decay, from nothing on (start NULL). */
tensor *op_linear_step(tape *t, tensor *w, tensor *b, tensor *s, const causal_sums *in);

/* The step a - s f c by an exclusive running sum: c_0 = start, c_{i+1} = decay c_i + x_i.
 * a, x, f [rows, time, width], f may be NULL: 1; start [rows, width] or NULL; *last (last may be
 * NULL) receives c_time [rows, width]. In place of a, which nothing else may need. */
tensor *op_running_step(tape *t, tensor *a, tensor *s, tensor *f, tensor *x, tensor *start,
                        real decay, tensor **last);

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
