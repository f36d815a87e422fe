/* What routed layers did with the tokens. */
#ifndef LOCI_RESULTS_COMPARE_ROUTING_H
#define LOCI_RESULTS_COMPARE_ROUTING_H

#include "results/compare/compare.h"

/* Fills `routing` of runs and variants. */
bool compare_routing(comparison *c, arena *a, store *s, err *e);

#endif
