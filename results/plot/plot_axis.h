/* Final quality against the numbers of each swept axis, a line for each choice of the others: how
 * sensitive it is to the learning rate. */
#pragma once

#include "results/plot/plot_series.h"

bool plot_axis(plot_report *r, arena *a, store *s, const comparison *c, err *e);
