/* A forest plot: each variant's difference to the baseline, paired by seed, with its interval. */
#ifndef LOCI_RESULTS_PLOT_DIFFERENCES_H
#define LOCI_RESULTS_PLOT_DIFFERENCES_H

#include "results/plot/plot_series.h"

bool plot_differences(plot_report *r, arena *a, store *s, const comparison *c, err *e);

#endif
