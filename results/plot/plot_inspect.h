/* Pictures of what loci inspect found in a run. */
#pragma once

#include "results/plot/gnuplot.h"
#include "results/store/store.h"

/* The run that was inspected (loci inspect) last, of those whose id begins so; NULL: of all. Lives
 * as long as the arena. NULL and e if there is none. */
const char *plot_inspect_find(store *s, const char *run, arena *a, err *e);

/* Pictures of its inspection in the folder: the figures of Geva et al. 2021 by layer. */
bool plot_inspect(plot_report *r, store *s, const char *run, const plot_how *how, err *e);
