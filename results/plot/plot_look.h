/* How variants are told apart. */
#pragma once

#include "results/compare/compare.h"

/* A copy of the comparison whose variants have looks: of a grid of two axes a colour for each value
 * of one and dashes or marks for each of the other; else one look after the other. Lives as long as
 * the arena and c. NULL and e if the database cannot be read. */
const comparison *plot_look(arena *a, store *s, const comparison *c, err *e);
