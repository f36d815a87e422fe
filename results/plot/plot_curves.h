/* Loss against tokens and time: mean over seeds, and a band from the lowest to the highest seed (an
 * interval of two or three noisy training losses would be mostly noise itself). With more than
 * seven variants also a panel for each. */
#pragma once

#include "results/plot/plot_series.h"

bool plot_curves(plot_report *r, arena *a, store *s, const comparison *c, err *e);
