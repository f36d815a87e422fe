/* How queries meet keys: normalised, rotated, and attended to. */
#pragma once

#include "layers/token_plan.h"

/* What op_attention is told of the call: heads, grid, window, biases, dropout. Its `valid` and
 * where operands lie apart are the caller's to say. */
attention_shape token_scores_shape(layer_ctx *c, const layer *self, const token_options *o,
                                   const token_plan *plan);

/* Normalises and rotates raw operands and attends: [rows, time, q_width]. v stands in k's tensor,
 * which may be q's own, or in one that nobody changes. There may be more keys than queries: they
 * come first. */
tensor *token_scores(layer_ctx *c, const layer *self, const token_options *o,
                     const token_plan *plan, attention_operand q, attention_operand k,
                     attention_operand v, const attention_shape *shape);

/* The same with keys and values in the slot's own memory, which stay as they are: keys are copied
 * only if they are normalised or rotated. */
tensor *token_scores_entries(layer_ctx *c, const layer *self, const token_options *o,
                             const token_plan *plan, tensor *qkv, const layer_entries *kv,
                             attention_shape *shape);
