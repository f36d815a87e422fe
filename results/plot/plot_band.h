/* A band that leaves the picture, cut at its edges. gnuplot's own cutting of a filled curve spills
 * over the frame where both sides of the band are outside. */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "results/plot/plot_point.h"

/* Does a point's band reach beyond the range [lowest, highest] of the axis? */
bool plot_band_leaves(const plot_series *x, const double range[2]);

/* The block $bandINDEX of `x low high`: the series' band within the range, with a row more wherever
 * a side of it crosses an edge. */
void plot_band_data(FILE *out, const plot_series *x, int index, const double range[2]);
