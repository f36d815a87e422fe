/* Who wrote and read states: one pass. */
#pragma once

#include "harness/inspect/inspection.h"

/* Adds its figures. */
bool inspect_states(inspection *x, err *e);

/* Tokens of those that occur often enough with the largest mean of sums [vocab]; at most `most`. */
int inspect_states_tokens(int32_t *order, int most, const inspected_exchange *l,
                          const int64_t *sums, int64_t vocab);
