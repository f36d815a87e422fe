/* Bars at one x beside each other, and bars that are much longer than what they are of. */
#pragma once

#include "results/plot/plot_series.h"

/* Series that share an x stand beside each other there, in their order, so that no bar hides
 * another; those that share none stay where they are, and so do all where there is no bar. The data
 * keep their x. logarithmic: the axis is. */
void plot_dodge(plot_series *list, int count, bool logarithmic);

/* A range of the axis of y that holds all means, and of bars (or bands) what lies no further off
 * than half of what the means span: one long bar would press all others together. `low`, `high` are
 * of means, `bar_low`, `bar_high` of bars. */
void plot_dodge_range(double range[2], double low, double high, double bar_low, double bar_high);
/* A range that holds all means, and all bars but those several times as long as is usual among
 * them; false: none of these leaves it, the axis may take all. */
bool plot_dodge_cuts(double range[2], const plot_series *list, int count);
/* Does any bar or band leave the range? Then the caption has to say so: PLOT_LONG behind what it
 * says of bars. */
bool plot_dodge_leaves(const double range[2], const plot_series *list, int count);
#define PLOT_LONG "; long ones leave the picture"
