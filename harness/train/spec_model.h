/* A spec's model, built for a corpus: the one place that knows what a layer may need of both. */
#pragma once

#include "data/corpus.h"
#include "models/model.h"

/* The model of a spec for a corpus that is open, with the spec's sizes (NULL) or others.
 * Borrows the spec; what it needs besides lives in the arena. source: the tensors of init_from,
 * with get NULL where they are not at hand; not looked at if the spec has no init_from. */
model *spec_model(arena *a, const node *spec, const model_sizes *sizes, corpus *c, int64_t seed,
                  const tensor_source *source, err *e);

/* Whether the same values serve both: every parameter has its name and shape in each. Learned
 * tables of positions, for one, are as long as the context. */
bool spec_model_same_params(const model *a, const model *b);
#define SPEC_MODEL_CONTEXT_TEXT                                                                    \
    "the model's parameters depend on its context, so it cannot be evaluated on another one"
