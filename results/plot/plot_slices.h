/* Where a gain lies: loss by position in the document, and the gain over the baseline against
 * position, the token's frequency and its repetition (as Clark et al. 2022, arXiv:2212.02475,
 * fig. 2). Where slices are recorded. */
#pragma once

#include "results/plot/plot_series.h"

bool plot_slices(plot_report *r, arena *a, store *s, const comparison *c, err *e);
bool plot_slices_block(plot_report *r, arena *a, store *s, const comparison *c, err *e);
