/* `init_from: {variant: {AXIS: VALUE, ...}}`: the variant of the same sweep that has these values,
 * and on its other axes those of the variant that starts from it. */
#pragma once

#include "harness/spec/sweep.h"

/* own: the spec of variant v. With the label that is meant in place of the axes, in the arena, or
 * itself where it speaks of none. NULL and e, with the place: no variant is meant, or several. */
const node *sweep_sibling_name(arena *a, const sweep *s, int v, const node *own, err *e);
