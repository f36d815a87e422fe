/* Pictures inside the page, each with what it shows and its script. */
#pragma once

#include "results/plot/plot.h"

bool report_plots(FILE *out, const plot_report *plots, err *e);
