/* A logarithmic axis of y, for figures that differ by factors: on a straight one all but the
 * largest lie in one line, as where a variant failed, or where a loss comes near to 0. */
#pragma once

#include <stdio.h>

#include "results/plot/plot_series.h"

enum { DECADE = 10 };

/* Are all means above 0, and is the largest at least DECADE times the least? Then `range` holds
 * them, and of bars (or bands) what is within a factor of 3 of them. */
bool plot_decades(double range[2], const plot_series *list, int count);

/* The axis from range[0] > 0 to range[1], with some tics whatever its length. */
void plot_decades_axis(FILE *out, const double range[2]);

/* The axis of y of means with bars: of decades, where it is not to be straight in any case; else so
 * that no long bar presses the others together (plot_dodge_cuts), or all that there is. */
typedef struct plot_reach {
    bool decades, cut; /* cut: bars leave the picture */
    double range[2];   /* unless neither is so */
} plot_reach;
plot_reach plot_reach_of(const plot_series *list, int count, bool straight);
void plot_reach_axis(FILE *out, const plot_reach *x);
