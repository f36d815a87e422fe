/* Keys and values of all that a row has read, in a ring that holds so many positions and has no
 * gradient: the common part of layers that attend to a block, to a memory before it, and to a few
 * of the positions stored behind that memory.
 *
 *   o = attention over block and memory (token_attention.h);   m = attention to a few stored ones
 *   y = merge(g m + (1 - g) o) W_out^T,   g = sigma(b), one per head
 *
 * A query at position p sees the stored positions
 *
 *   [block_begin(p) - memory - length, block_begin(p) - memory),
 *
 * those that attention no longer does. An entry is a key without position, normalised to unit
 * length per head, and a raw value, as the weights of their time made them: what is stored receives
 * no gradient (the gradient of the loss leaves that path out). Queries are normalised likewise and
 * scaled by a learned gain per component, which so works on all keys alike. */
#pragma once

#include "core/ops/ops_lookup.h"
#include "layers/token_attention.h"

typedef struct stored_keys {
    token_plan tokens;
    int gain, gate, out, out_bias; /* parameters */
    int store;                     /* slot [rows, size, width] */
    int64_t length;                /* positions seen */
    int64_t size, width;           /* of the ring; of an entry: all keys, all values */
} stored_keys;

bool stored_keys_check(const token_options *o, const layer_dims *dims, const node *at, err *e);
/* For layer_class.settle; scale: the option. */
void stored_keys_settle(token_options *o, double *scale, const layer *self);
/* gate: where b starts; scale: what the products of unit vectors start multiplied with, below 0:
 * sqrt(head_dim). Marks the layer as detached. */
stored_keys stored_keys_build(layer_build *b, layer *self, const token_options *o, int64_t length,
                              double gate, double scale);

/* Positions [begin, end) of the call go into the ring. */
void stored_keys_write(layer_ctx *c, const layer *self, const stored_keys *plan,
                       const token_result *r, int64_t begin, int64_t end);
/* What the block sees to which position `begin` of the call belongs. */
lookup_store stored_keys_seen(layer_ctx *c, const layer *self, const stored_keys *plan,
                              int64_t begin);
/* Queries of the whole call [rows, time, q_width]; their scores want this scale. */
tensor *stored_keys_queries(layer_ctx *c, const layer *self, const stored_keys *plan,
                            const token_result *r);
real stored_keys_scale(const stored_keys *plan);
/* y from o and m [rows, time, q_width]. */
tensor *stored_keys_output(layer_ctx *c, const layer *self, const stored_keys *plan, tensor *o,
                           tensor *m);

/* Per token: all but what it takes to find the few and to attend to them. */
double stored_keys_flops(const layer *self, const token_options *o, const stored_keys *plan);
