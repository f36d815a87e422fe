/* What a trained model has stored, and what becomes of it, for every layer that offers itself
 * through its contract (layers/layer.h): memories of keys and values (Geva et al. 2021,
 * arXiv:2012.14913), weights that learn while they read, states that are written and read.
 *
 * Keys and values: one pass of evaluation over a split keeps the prefixes with the largest
 * coefficients of every memory. Composition and refinement: one pass over another split reads the
 * stream at sampled prefixes. Changes and states: one pass each over that split. All read documents
 * as evaluation does, state carried along; a prefix is shown from the beginning of its sentence.
 *
 * DIFFERS: the paper feeds single sentences. Removing tokens (perturbation) does so here, too. */
#pragma once

#include "harness/inspect/inspection.h"

/* Fills x; inspection_deinit frees it. Fails if no layer offers what the parts need, the corpus
 * lacks the split or a file cannot be read. */
bool inspect(inspection *x, const inspect_task *task, err *e);
