/* What a block leaves out: `exclude`, and `when`. */
#pragma once

#include "harness/spec/sweep_axis.h"

/* `exclude` and `when` of a block whose axes are read; n may be
 * NULL. */
bool sweep_conditions_exclude(arena *a, const sweep_source *s, sweep_block *b, const node *n,
                              err *e);
bool sweep_conditions_when(arena *a, const sweep_source *s, sweep_block *b, const node *n, err *e);
