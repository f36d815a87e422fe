/* Pictures inside the page, each with what it shows and its script. */
#ifndef LOCI_RESULTS_REPORT_PLOTS_H
#define LOCI_RESULTS_REPORT_PLOTS_H

#include "results/plot/plot.h"

bool report_plots(FILE *out, const plot_report *plots, err *e);

#endif
