/* Adding gradients: what the tree of lanes.h is made of, within a process and over ranks. */
#pragma once

#include "core/train/params.h"

/* a += b on elements [begin, end) of the flat vectors, piece by piece: what b lacks is not read,
 * what a alone lacks is copied. a and b point at element `begin`. The marks are left as they are:
 * see grads_mark. */
void grads_add(const params *p, real *a, const bool *a_has, const real *b, const bool *b_has,
               int64_t begin, int64_t end);

/* a has what either has. */
void grads_mark(const params *p, bool *a_has, const bool *b_has);
