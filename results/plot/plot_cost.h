/* Final quality against each cost that differs. */
#ifndef LOCI_RESULTS_PLOT_COST_H
#define LOCI_RESULTS_PLOT_COST_H

#include "results/plot/plot_series.h"

bool plot_cost(plot_report *r, const comparison *c, err *e);

#endif
