/* Loss against tokens or time. */
#ifndef LOCI_RESULTS_PLOT_CURVES_H
#define LOCI_RESULTS_PLOT_CURVES_H

#include "results/plot/plot_series.h"

/* facets: a panel for each variant, if there are more than seven of them, else nothing. False, and
 * nothing begun, if there is nothing to draw; false with e if the database cannot be read. */
bool plot_curves(gnuplot_script *p, arena *a, store *s, const comparison *c, bool against_time,
                 bool facets, err *e);

#endif
