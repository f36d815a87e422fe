/* Accuracy on a probe against distance. */
#ifndef LOCI_RESULTS_PLOT_RECALL_H
#define LOCI_RESULTS_PLOT_RECALL_H

#include "results/plot/plot_series.h"

/* False, and nothing begun, if there is nothing to draw; false with e if the database cannot be
 * read.
 */
bool plot_recall(gnuplot_script *p, arena *a, store *s, const comparison *c, err *e);

#endif
