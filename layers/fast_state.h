/* What layers with fast weights share: carrying what earlier positions taught from call to call,
 * and cutting a call into the lives of the fast weights. */
#ifndef LOCI_LAYERS_FAST_STATE_H
#define LOCI_LAYERS_FAST_STATE_H

#include "layers/layer.h"

/* Carries on a sum over positions, [rows, ...] of the slot's length and width. NULL: what came in
 * stays. undo: 1, or the decay of a last position that taught nothing yet and comes again in the
 * next call. */
void fast_state_set(layer_ctx *c, const layer *self, int slot, tensor *sum, double undo);

/* What positions [first, first + n) of the call learn from: position i from token i + 1. Weights
 * are 0 where that is unknown (the last position) or no text, by the call's lengths (NULL: by its
 * weights). first is -1 where a pending position of the call before stands in front. targets,
 * weights [rows, n]. */
void fast_state_targets(const layer_ctx *c, int64_t vocab, int64_t first, int64_t n,
                        int32_t *targets, real *weights);

/* Positions [at, at + n) of the call, in which fast weights neither begin nor end but where said.
 */
typedef struct fast_span {
    int64_t at, n;
    bool begins, ends;
} fast_span;

/* y of the span's positions of x; *slow: the same with slow weights only. */
typedef tensor *(*fast_part)(layer_ctx *c, const layer *self, tensor *x, const fast_span *span,
                             tensor **slow);

/* Reads x part by part: one if fast weights are carried to the end of the document, else one per
 * block. Offers inspection what slow weights alone would have made of it. */
tensor *fast_state_read(layer_ctx *c, const layer *self, tensor *x, bool carry, fast_part part);

/* Multiply-adds per position of op_attention_step over a block with keys and values of so many
 * numbers. */
double fast_state_products(const layer *self, int64_t chunk, bool carry, double key, double value);

#endif
