/* Vectors of the residual stream, read as tokens: distributions over the vocabulary. */
#pragma once

#include "models/model.h"

/* How a vector h becomes logits: h E^T, E the output matrix (the embedding where the head has none
 * for the stream), as Geva et al. 2021 read values and residuals alike; or as the model's own last
 * residual is read, through the final norm and with the head's bias. */
typedef struct readout {
    const model *model;
    const real *values;
    const real *weight; /* E [vocab, width] */
    const real *bias;   /* [vocab] or NULL */
    bool norm;
} readout;
readout readout_new(const model *m, const real *values, bool as_head);
/* logits [n, vocab] of x [n, width]; scratch [n, width] is overwritten. */
void readout_logits(const readout *r, real *logits, const real *x, int64_t n, real *scratch);
/* Value vectors of memories [first, first + n) of a layer, to out [n, width]. */
void readout_memory(const layer *self, const layer_memories *m, const params *p, const real *values,
                    int64_t first, int64_t n, real *out);
