/* What routed layers did with the tokens: expert load, and routing stability. */
#pragma once

#include "results/plot/plot_series.h"
#include "results/table/table.h"

bool plot_routing(plot_report *r, arena *a, store *s, const comparison *c, err *e);

/* How the names of a figure's pictures begin. */
#define PLOT_FIGURE "figure-"

/* Over training, any figure that layers or the trainer log, by its name: mean over layers and
 * seeds. False and e if no run has logged it. */
bool plot_routing_figure(plot_report *r, arena *a, store *s, const comparison *c,
                         const char *figure, err *e);

/* Those figures: a row each. */
bool plot_routing_figures(table *t, store *s, const char *experiment, err *e);
