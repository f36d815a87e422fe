/* Gain against the relative cost of evaluation, where a model learned in it. */
#ifndef LOCI_RESULTS_PLOT_GAIN_H
#define LOCI_RESULTS_PLOT_GAIN_H

#include "results/plot/plot_series.h"

bool plot_gain(plot_report *r, const comparison *c, err *e);

#endif
