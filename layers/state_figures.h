/* What a layer tells of the states that its tokens read: a figure for the log, and for inspection
 * who looked at what and how much came of it. */
#pragma once

#include "layers/recurrent_state.h"

/* Logs the entropy in nats of how a few tokens divide their attention over the states; log(states)
 * where they ignore what is in them. Of row 0, at a few positions from first to last: not worth a
 * pass over all. q, k: normalised, of heads as `plan` has them. */
void state_figures_entropy(layer_ctx *c, const layer *self, const token_plan *plan,
                           attention_operand q, attention_operand k);

/* The weights of a part of the call, part [rows, end - begin, states], into those of all of it,
 * which are made with the first: *weights [rows, time, states], valid until the step's reset. */
void state_figures_keep(layer_ctx *c, real **weights, int64_t begin, int64_t end, const real *part,
                        int64_t states);

/* Tells of a read its weights, and how much of the layer's output y it is: part [rows, time, width]
 * is what it added. */
void state_figures_tell(layer_ctx *c, const layer *self, int read, const real *weights,
                        const tensor *part, const tensor *y);
