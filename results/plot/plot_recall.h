/* Accuracy on a probe against distance: at which distance each memory fails. */
#ifndef LOCI_RESULTS_PLOT_RECALL_H
#define LOCI_RESULTS_PLOT_RECALL_H

#include "results/plot/plot_series.h"

bool plot_recall(plot_report *r, arena *a, store *s, const comparison *c, err *e);

#endif
