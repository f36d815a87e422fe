/* A forest plot of the differences to the baseline. */
#ifndef LOCI_RESULTS_PLOT_DIFFERENCES_H
#define LOCI_RESULTS_PLOT_DIFFERENCES_H

#include "results/plot/plot_series.h"

/* False, and nothing begun, if there is nothing to draw. */
bool plot_differences(gnuplot_script *p, const comparison *c);

#endif
