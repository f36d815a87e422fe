/* Loss of the evaluations on the way (train.eval_every) and of the last one, over training. */
#pragma once

#include "results/plot/plot_series.h"

bool plot_validation(plot_report *r, arena *a, store *s, const comparison *c, err *e);
