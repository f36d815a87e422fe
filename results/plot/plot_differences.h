/* A forest plot: each variant's difference to the baseline, paired by seed, with its interval. */
#pragma once

#include "results/plot/plot_series.h"

bool plot_differences(plot_report *r, arena *a, store *s, const comparison *c, err *e);
