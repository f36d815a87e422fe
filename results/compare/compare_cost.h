/* What evaluations cost. */
#ifndef LOCI_RESULTS_COMPARE_COST_H
#define LOCI_RESULTS_COMPARE_COST_H

#include "results/compare/compare.h"

/* Fills `learning` and the variants' costs of evaluation. */
void compare_cost(comparison *c, arena *a);

#endif
