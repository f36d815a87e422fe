/* Accuracy on a probe against distance: at which distance each memory fails. */
#pragma once

#include "results/plot/plot_series.h"

bool plot_recall(plot_report *r, arena *a, store *s, const comparison *c, err *e);
