/* What fast weights changed: one pass. */
#pragma once

#include "harness/inspect/inspection.h"

/* Adds its figures. */
bool inspect_changes(inspection *x, err *e);

/* Tokens of a list [vocab] that rose most (sign 1) or fell most (-1), first ones first; how many.
 */
int inspect_changes_tokens(int32_t order[CHANGED_TOKENS], const token_change *list, int64_t vocab,
                           double sign);
