/* What a run is, whatever its spec is called and wherever it is trained.
 *
 * A variant is the hash of what its result depends on, as far as it differs from the defaults and
 * in one spelling of it (layer_class.settle and its like): the options of data (with the hash of
 * the corpus), model, optimizer, schedule and train that are not incidental; and what it starts
 * from (init_from), as the source's variant, run or checkpoint's checksum. Evaluation is no part of
 * it. A run is variant, seed and version of the numerics, and its
 * precision where that is not float. */
#pragma once

#include "harness/train/workload.h"

enum { IDENTITY_CHARS = 17 }; /* 16 hex digits and the end of the string */

/* source: the id of the variant that `init_from: {variant: ...}` names, else NULL. */
void identity_variant(char id[IDENTITY_CHARS], const workload *w, const char *source);
void identity_run(char id[IDENTITY_CHARS], const char *variant, int64_t seed);

/* The spec with every option spelt out; opens again as the same workload. */
node *identity_resolved(arena *a, const workload *w);
