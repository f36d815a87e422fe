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

#include "layers/token_plan.h"

/* Declares parameters and slots. memory: positions seen before the block where the option does not
 * say; whole_block: the layer needs all of the block's keys (token_result.kv). */
token_plan token_attention_build(layer_build *b, layer *self, const token_options *o,
                                 int64_t memory, bool whole_block);

/* For layer_class.settle; memory as above. */
void token_attention_settle(token_options *o, const layer *self, int64_t memory);

token_result token_attention_forward(layer_ctx *c, const layer *self, const token_options *o,
                                     const token_plan *plan, tensor *x);

/* Per token at full context: products of projections (without the output's) and scores. */
double token_attention_flops(const layer *self, const token_options *o, const token_plan *plan);
