/* What the pictures of a comparison share: a line or points for each variant. */
#ifndef LOCI_RESULTS_PLOT_SERIES_H
#define LOCI_RESULTS_PLOT_SERIES_H

#include "results/compare/compare.h"
#include "results/plot/gnuplot.h"

/* So many lines can be told apart, each in its colour and with its band; more of them are drawn
 * without bands, which would hide each other. */
enum { PLOT_TELLABLE = 7 };

/* Colour (podo without its yellow, which is weak on white) and dashes of the i-th series. */
int plot_series_colour(int series);
int plot_series_dashes(int series);

/* The unit of an axis of training tokens, or time in seconds, up to `most`: the largest of which it
 * holds at least two, or a million. */
typedef struct plot_unit {
    double size;
    const char *name; /* as the axis is called */
} plot_unit;
plot_unit plot_series_unit(double most, bool against_time);

/* The title: the experiment, and how its variants were chosen. */
void plot_series_title(FILE *out, const comparison *c);
/* Of final quality against x: titles, room around the points, the key. */
void plot_series_axes(gnuplot_script *p, const comparison *c, const char *x_title,
                      bool logarithmic);

#endif
