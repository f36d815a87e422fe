/* Final quality against each cost that differs; where a model learned while it was evaluated, gain
 * against what that cost. */
#ifndef LOCI_RESULTS_PLOT_COST_H
#define LOCI_RESULTS_PLOT_COST_H

#include "results/plot/plot_series.h"

bool plot_cost(plot_report *r, arena *a, store *s, const comparison *c, err *e);

#endif
