/* Experiments that claim something, from their text. */
#pragma once

#include "harness/run/experiment.h"

/* How their bases may begin: runs of a moment, and a sweep of what follows. */
#define CLAIMED_RUNS                                                                               \
    "name: claimed\n"                                                                              \
    "data: {corpus: markov, symbols: 6, order: 1, tokens: 2000, held_out: 500, length: 100}\n"     \
    "model: {width: 8, context: 8, blocks: [{attention: {heads: 2}, ffn: {hidden: 16}}]}\n"        \
    "train: {budget: {steps: 4}, batch: 2}\n"                                                      \
    "sweep:\n"

/* Resolved, with its claims, from a file c.yaml in the test's folder: base, which ends with
 * "claims:", and then the claims. NULL and e; the caller frees. */
experiment *claimed_experiment(const char *base, const char *claims, err *e);
