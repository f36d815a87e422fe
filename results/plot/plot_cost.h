/* Final quality against each cost that differs; where a model learned while it was evaluated, gain
 * against what that cost. */
#pragma once

#include "results/plot/plot_series.h"

bool plot_cost(plot_report *r, arena *a, store *s, const comparison *c, err *e);
