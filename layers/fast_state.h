/* What layers with fast weights share: carrying what earlier positions taught from call to call,
 * and cutting a call into the lives of the fast weights. */
#pragma once

#include "layers/layer.h"

/* Carries on a sum over positions, [rows, ...] of the slot's length and width. NULL: what came in
 * stays. undo: 1, or the decay of a last position that taught nothing yet and comes again in the
 * next call. */
void fast_state_set(layer_ctx *c, const layer *self, int slot, tensor *sum, double undo);

/* Consecutive positions of the call in which fast weights neither begin nor end but where said,
 * with what they learn from: position i from token i + 1. Weights are 0 where that is unknown (the
 * last position) or no text, by the call's lengths (NULL: by its weights). */
typedef struct fast_span {
    tensor *x;               /* [rows, n, width]; the pending position in front, if there is one */
    const int32_t *targets;  /* [rows, n] */
    const real *weights;     /* [rows, n] */
    bool begins, ends, last; /* last: of the call */
} fast_span;

/* y of the span's positions; *slow: the same with slow weights only. */
typedef tensor *(*fast_part)(layer_ctx *c, const layer *self, const fast_span *s, tensor **slow);

/* Reads x part by part: one if fast weights are carried to the end of the document, else one per
 * block. `pending` is the slot of a last position that is to learn from the next call's first token
 * (-1: it learns at once). Offers inspection what slow weights alone would have made of it. */
tensor *fast_state_read(layer_ctx *c, const layer *self, tensor *x, bool carry, int pending,
                        fast_part part);

/* Multiply-adds per position of op_attention_step over a block with keys and values of so many
 * numbers. */
double fast_state_products(const layer *self, int64_t chunk, bool carry, double key, double value);
