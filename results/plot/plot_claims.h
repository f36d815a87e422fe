/* Claims with their verdicts: a row each, its interval against its margin. */
#pragma once

#include "results/claims/claims.h"
#include "results/plot/gnuplot.h"

/* claims; nothing where the experiment claims nothing. */
bool plot_claims(plot_report *r, const claims *x, err *e);
