/* Loss and gain by slices of the text, where they are recorded. */
#ifndef LOCI_RESULTS_PLOT_SLICES_H
#define LOCI_RESULTS_PLOT_SLICES_H

#include "results/plot/plot_series.h"

bool plot_slices(plot_report *r, arena *a, store *s, const comparison *c, err *e);

#endif
