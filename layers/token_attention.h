/* Attention of tokens to tokens with what is carried of earlier ones: the common part of all layers
 * that attend.
 *
 *   q, k, v = heads(x W_qkv^T + b);   y = merge(softmax(q k^T / sqrt(head_dim) + bias) v)
 *
 * On the grid of positions since the row's reset, a query at position p sees the keys
 *
 *   [max(block_begin(p) - memory, p - window + 1, 0), p]
 *
 * and, with compression, the entries that keys older than these were made into (compression.h).
 *
 * Slots: "kv" [rows, length, 2 kv_heads head_dim] carries raw keys and values (before rotation and
 * normalisation) of what later positions may still see; "compressed" likewise [rows, length, ...].
 * Compression that looks at queries carries those of an unfinished block in "queries" [rows,
 * length, q_width]. Where a row may have lost its memory other than by a reset, "first" [rows, 1,
 * 1] carries the position since which it counts. Everything is aligned to the right: of a row only
 * so many of the newest entries are its own. Rotary positions are counted from the oldest key of
 * the call: only differences matter, and small angles stay exact in float. */
#pragma once

#include "layers/token_options.h"

/* Declares parameters and slots. memory: positions seen before the block where the option does not
 * say; whole_block: the layer needs all of the block's keys (token_result.kv). */
token_plan token_attention_build(layer_build *b, layer *self, const token_options *o,
                                 int64_t memory, bool whole_block);

/* For layer_class.settle; memory as above. */
void token_attention_settle(token_options *o, const layer *self, int64_t memory);

typedef struct token_result {
    tensor *y; /* [rows, time, q_width], before the output projection */
    /* Raw keys and values [rows, extra + time, 2 kv_width], position i of the call at extra + i;
     * of the `extra`, only the newest valid[row] are the row's own. NULL unless whole_block. */
    tensor *kv;
    tensor *q; /* raw queries [rows, time, q_width]; NULL unless keep_queries */
    int64_t extra;
    const int64_t *valid;
} token_result;

token_result token_attention_forward(layer_ctx *c, const layer *self, const token_options *o,
                                     const token_plan *plan, tensor *x);

/* Per token at full context: products of projections (without the output's) and scores. */
double token_attention_flops(const layer *self, const token_options *o, const token_plan *plan);

/* Columns of `heads` heads, normalised per head and scaled by gain [head_dim], as a tensor of
 * their own. kind: QK_NORM_RMS or QK_NORM_L2. */
attention_operand token_attention_normalised(tape *t, attention_operand a, int64_t heads,
                                             int64_t head_dim, int64_t kind, tensor *gain);

/* Where the gains of queries and of keys start, so that the score of two heads of unit length,
 * which attention divides by sqrt(head_dim), starts as `scale` times their product. A scale below 0
 * leaves both gains at 1: 1 / sqrt(head_dim) for QK_NORM_L2, sqrt(head_dim) for QK_NORM_RMS. */
double token_attention_gain(double scale, int64_t head_dim, int64_t kind);
/* Whether that is 1, as it is without a scale. */
bool token_attention_starts_at_one(double scale, int64_t head_dim, int64_t kind);
