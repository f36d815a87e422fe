/* The differentiable operations: all that layers are written in.
 *
 * Every op checks shapes where it is called, computes its output and records itself on the tape
 * (see tape.h). Ops are few and coarse. `[..., width]` means any leading axes, taken together as
 * rows. Weights are [out, in], as PyTorch stores them. A NULL bias, gain or mask is allowed where
 * said. Outputs never alias inputs, except in ops whose name ends in `_inplace` and in views. */
#pragma once

#include "core/base/rng.h"
#include "core/ops/row_grads.h"
#include "core/ops/tape.h"

typedef enum activation {
    ACT_IDENTITY,
    ACT_RELU,
    ACT_RELU2, /* relu(x)^2 */
    ACT_GELU,  /* exact: x Phi(x) */
    ACT_GELU_TANH,
    ACT_SILU,
    ACT_TANH,
    ACT_SIGMOID,
    ACT_SOFTPLUS,
    ACT_EXP,
    ACT_SQRT,
    ACT_LOG,
    ACT_KINDS
} activation;

/* ---- core/ops/op_linear.c: products ---- */

/* y [..., out] = x [..., in] W^T + b;  W [out, in], b [out] or NULL. */
tensor *op_linear(tape *t, tensor *x, tensor *w, tensor *b);

/* y = act(x) W^T + b, without keeping act(x): the backward pass computes it again, together with
 * the slope it needs anyway, and so saves the largest tensor of a feed-forward layer. */
tensor *op_activation_linear(tape *t, tensor *x, activation kind, tensor *w, tensor *b);

/* core/ops/op_grouped.c: y [n, out], row i in group g (begin[g] <= i < begin[g + 1]): act(x_i)
 * W_g^T + b_g. x [n, in] with its rows sorted by group; begin [groups + 1]; w [groups] of [out,
 * in], b [groups] of [out] or NULL; entries of empty groups are not looked at and receive no
 * gradient. All copied. */
tensor *op_grouped_linear(tape *t, tensor *x, const int64_t *begin, int64_t groups, activation kind,
                          tensor *const *w, tensor *const *b, int64_t out);
/* Two such maps behind each other, y = act(x W^T + b) V^T + c, where nothing is recorded: the rows
 * in between are one group's at a time, which a cache holds. */
typedef struct grouped_map {
    tensor **w, **b;
    int64_t out;
} grouped_map;
tensor *op_grouped_layer(tape *t, tensor *x, const int64_t *begin, int64_t groups,
                         const grouped_map *first, activation kind, const grouped_map *second);

/* c [batch, m, n] = alpha * a b, per batch entry; a is [batch, m, k] (or [batch, k, m] if
 * transpose_a), b [batch, k, n] (or [batch, n, k]). Rank-2 operands are shared by all batch
 * entries. */
tensor *op_matmul(tape *t, tensor *a, bool transpose_a, tensor *b, bool transpose_b, real alpha);

/* ---- core/ops/op_elementwise.c, core/ops/op_reduce.c ---- */

tensor *op_add(tape *t, tensor *a, tensor *b); /* equal shapes */
/* a += b, and the result takes a's memory: legal where nothing reads a's old values (after
 * op_linear or another sum, which do not keep their output). op_add_row_inplace: the same. */
tensor *op_add_inplace(tape *t, tensor *a, tensor *b);
tensor *op_sub(tape *t, tensor *a, tensor *b);
tensor *op_mul(tape *t, tensor *a, tensor *b);
tensor *op_scale(tape *t, tensor *a, real s);           /* s a */
tensor *op_shift(tape *t, tensor *a, real s);           /* a + s */
tensor *op_axpy(tape *t, tensor *a, real s, tensor *b); /* a + s b, equal shapes */
tensor *op_add_row(tape *t, tensor *x, tensor *v);      /* x [..., width] + v [width] */
tensor *op_add_row_inplace(tape *t, tensor *x, tensor *v);
tensor *op_mul_row(tape *t, tensor *x, tensor *v); /* x [..., width] * v [width] */
/* row n of x [..., width] times s[n]; s [rows] */
tensor *op_mul_col(tape *t, tensor *x, tensor *s);
tensor *op_div(tape *t, tensor *a, tensor *b); /* equal shapes */
tensor *op_sum(tape *t, tensor *x);            /* scalar */
tensor *op_sum_rows(tape *t, tensor *x);       /* [..., width] -> [width], added over rows */
tensor *op_sum_last(tape *t, tensor *x);       /* [..., width] -> [...], added over the last axis */
/* y[n] = choose[n] ? a row n : b row n; a, b [rows, ...], choose [rows] is copied. */
tensor *op_select_rows(tape *t, const bool *choose, tensor *a, tensor *b);

/* core/ops/op_activation.c */
tensor *op_activation(tape *t, tensor *x, activation kind);
/* Gated linear unit: x [..., 2 n] -> y [..., n] = first half * act(second half). */
tensor *op_glu(tape *t, tensor *x, activation kind);

/* ---- core/ops/op_shape.c: cutting and joining (copies, except tape_reshape) ---- */

/* Columns [begin, end) of the last axis. */
tensor *op_columns(tape *t, tensor *x, int64_t begin, int64_t end);
/* Entries [begin, end) of axis `axis`. */
tensor *op_slice(tape *t, tensor *x, int axis, int64_t begin, int64_t end);
/* Joins n tensors along `axis`; all other axes agree. */
tensor *op_concat(tape *t, int n, tensor *const *parts, int axis);
/* Swaps two axes. */
tensor *op_transpose(tape *t, tensor *x, int axis_a, int axis_b);
/* Joins nothing: y = x repeated `times` along a new leading axis. */
tensor *op_repeat(tape *t, tensor *x, int64_t times);

/* ---- core/ops/op_gather.c ---- */

/* y [n, width] = table row ids[i]; table [entries, width]; 0 <= ids[i] < entries; ids is copied. */
tensor *op_gather(tape *t, tensor *table, const int32_t *ids, int64_t n);
/* The same; the gradient goes to `into`, row by row, and the table needs none: the cost follows the
 * rows, not the table. */
tensor *op_gather_rows(tape *t, tensor *table, const int32_t *ids, int64_t n, row_grads *into);
/* y [out_rows, width]: y[ids[i]] += x[i]; rows never named are zero; a negative id drops the row.
 */
tensor *op_scatter(tape *t, tensor *x, const int32_t *ids, int64_t out_rows);
/* core/ops/op_bag.c: y [n, width] = sum_k weights[i, k] table[ids[i, k]]; weights [n, per], table
 * [entries, width]; ids [n, per] is copied. */
tensor *op_bag(tape *t, tensor *table, const int32_t *ids, tensor *weights);
/* y [n] = x[i, columns[i]] of x [n, width]. */
tensor *op_pick(tape *t, tensor *x, const int32_t *columns);

/* ---- core/ops/op_norm.c: over the last axis; gain, bias [width] or NULL. No gradient flows into a
 * row of nothing but zeros (layernorm: of one number) ---- */

tensor *op_layernorm(tape *t, tensor *x, tensor *gain, tensor *bias, real eps);
tensor *op_rmsnorm(tape *t, tensor *x, tensor *gain,
                   real eps);                    /* x / sqrt(mean(x^2) + eps) * gain */
tensor *op_l2norm(tape *t, tensor *x, real eps); /* x / max(|x|, eps) */

/* ---- core/ops/op_softmax.c ---- */

tensor *op_softmax(tape *t, tensor *x);     /* over the last axis */
tensor *op_log_softmax(tape *t, tensor *x); /* over the last axis */

/* Weighted cross-entropy. logits [n, vocab]; targets, weights [n] are copied.
 *   y (scalar) = scale * sum_i weights[i] * (logsumexp(logits[i]) - logits[i, targets[i]])
 * losses, if not NULL, receives the n unweighted losses in nats. Rows of weight 0 are skipped
 * (their target may be anything). weights NULL: all 1. */
tensor *op_cross_entropy(tape *t, tensor *logits, const int32_t *targets, const real *weights,
                         real scale, double *losses);
/* The same against targets that are smoothed (Szegedy et al. 2016, arXiv:1512.00567, sec. 7): 1 -
 * smoothing of the weight on the target, the rest on all of the vocabulary alike. `losses` are
 * those of the target alone. */
tensor *op_smooth_cross_entropy(tape *t, tensor *logits, const int32_t *targets,
                                const real *weights, real scale, double smoothing, double *losses);

/* ---- core/ops/op_dropout.c ---- */

/* Zeroes each element with probability `rate` and scales the rest by 1/(1-rate). x's first axis is
 * rows; row r draws from key with key.row + r, so the mask does not depend on the lanes. rate 0
 * returns x itself. */
tensor *op_dropout(tape *t, tensor *x, double rate, rng_key key);

/* Multiplies each element by a number drawn uniformly from [1 - size, 1 + size]; rows and keys as
 * in op_dropout. size 0 returns x itself. */
tensor *op_jitter(tape *t, tensor *x, double size, rng_key key);

/* ---- core/ops/op_attention.c ---- */

/* One operand of attention: head h of position p of row r starts at column `column + h * head_dim`
 * of x [rows, positions, x_width]; so q, k and v may be parts of one packed projection. */
typedef struct attention_operand {
    tensor *x;
    int64_t column;
} attention_operand;

typedef struct attention_shape {
    int64_t heads, kv_heads; /* query head h uses key head floor(h * kv_heads / heads) */
    int64_t head_dim;
    real scale; /* of the scores; usually head_dim^-1/2 */
    /* Keys and queries end at the same position; `extra` = keys - queries come from memory (not
     * causal: there may be fewer keys than queries, and extra and valid are negative).
     * Query i (0-based in the call) sees key j (0 = oldest) iff
     *     first(i) <= j <= extra + i             (causal; all keys if !causal)
     *     first(i) = max(extra - valid[row], block_begin(i) - memory, extra + i - window + 1)
     * where block_begin(i) = extra + i - ((phase + i) mod block): the key index at which the
     * query's block of the grid begins. window 0 and block 0 mean no such limit. */
    bool causal;
    int64_t window;
    int64_t block, phase, memory;
    const int64_t *valid; /* [rows]: how many of the extra keys are real; NULL: all */
    /* Numbers from row to row of k's and v's tensors, where a row has room for more positions than
     * these (nothing is recorded then); 0: dense, as every tensor. */
    int64_t k_apart, v_apart;
    /* Added to the scores, or NULL: learned bias by distance (T5), table [buckets, heads]. */
    tensor *t5_table;
    int64_t t5_max_distance;
    bool alibi; /* - slope_h * distance (attention_bias_slope) */
    /* Dropout on the attention matrix. */
    double dropout;
    rng_key key;
} attention_shape;

/* y [rows, queries, heads * head_dim] = softmax(scale q k^T + bias) v per head. Never stores the
 * square of the scores: works on blocks of queries and recomputes in the backward pass. A query
 * that sees no key gives 0. */
tensor *op_attention(tape *t, attention_operand q, attention_operand k, attention_operand v,
                     const attention_shape *shape);

/* Bucket of distance n >= 0 (see reference: T5, unidirectional). */
int64_t attention_bias_t5_bucket(int64_t distance, int64_t buckets, int64_t max_distance);

/* core/ops/op_rotary.c: rotary position embedding on columns [column, column + heads * head_dim) of
 * x [rows, time, width], in place (x's old values are gone; legal where no other op keeps x's data,
 * as after op_linear). Position of time i is first + i; angle = position * theta^(-2 c / head_dim).
 * With a period, positions count from 0 again every `period` and where a block begins: (first + i)
 * mod block mod period. xpos: multiplies (sign +1: queries, -1: divides, keys) by ((2c + 0.4 e) /
 * (1.4 e))^(position/512). */
typedef struct rotary_shape {
    int64_t column, heads, head_dim;
    int64_t first;         /* may be negative (memory), not with a period */
    int64_t block, period; /* period 0: none */
    double theta;
    bool interleaved; /* pairs (2i, 2i+1) instead of (i, i + head_dim/2) */
    int xpos;         /* 0 none, +1 query, -1 key */
} rotary_shape;
tensor *op_rotary_inplace(tape *t, tensor *x, const rotary_shape *shape);

/* ---- core/ops/op_lstm.c ---- */

/* One LSTM layer over time (gate rows i, f, g, o). gates_x [rows, time, 4h] = W_ih x + biases;
 * w_hh [4h, h]; h0, c0 [rows, h], or NULL for zeros.
 *     c = sigma(f) c + sigma(i) tanh(g);  h = sigma(o) tanh(c)
 * Returns y [rows, time, h]; *h_last, *c_last [rows, h]. */
tensor *op_lstm(tape *t, tensor *gates_x, tensor *w_hh, tensor *h0, tensor *c0, tensor **h_last,
                tensor **c_last);
