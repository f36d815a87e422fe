/* What the pictures of a comparison share: series of points, each with its band or bar, and how
 * they are drawn. A picture fills a list of them and has it drawn; what it adds are its axes. */
#pragma once

#include "results/compare/compare.h"
#include "results/plot/gnuplot.h"
#include "results/plot/plot_point.h"

/* So many lines can be told apart, each in its colour; more of them are drawn without bands, which
 * would hide each other. Those of more than PLOT_BANDS lines are drawn fainter. */
enum { PLOT_TELLABLE = 7, PLOT_BANDS = 3 };

typedef enum plot_style {
    PLOT_LINES,
    PLOT_MARKED,     /* lines with a dot at each point */
    PLOT_BARS,       /* single points with their bars, a mark for each look */
    PLOT_BAR_LINES,  /* the same with a line between them */
    PLOT_MARKED_BARS /* PLOT_MARKED with bars */
} plot_style;

/* The series' data, all bands if they are wanted, then all lines. The key says the label and over
 * how many seeds. Data blocks are called $series0 and so on, as the list has them. range: of the
 * axis of y, where it may be less than bands take; else NULL. */
void plot_series_draw(gnuplot_script *p, const plot_series *list, int count, plot_style style,
                      bool bands, const double *range);
/* The data alone, for pictures that draw otherwise. */
void plot_series_data(FILE *out, const plot_series *x, int index);

/* Colour of a look: podo without its yellow, which is weak on white. */
int plot_series_colour(int look);

/* The unit of an axis of training tokens, or time in seconds, up to `most`: the largest of which it
 * holds at least two, or a million. */
typedef struct plot_unit {
    double size;
    const char *name; /* as the axis is called */
} plot_unit;
plot_unit plot_series_unit(double most, bool against_time);

/* What a caption says of lines with bands, of so many lines: more have none. */
const char *plot_series_spreads(int lines, bool marked);

/* Begins a picture: a title of the experiment, how its variants were chosen, and the question that
 * the picture answers; labels of axes; a key beside the plot with room for so many lines and their
 * names. */
typedef struct plot_frame {
    const char *name, *caption, *question, *x, *y;
    bool training; /* it shows training: then no split of an evaluation is in its title */
    double names;  /* width of the widest name in the key; 0: of the variants' labels */
    int lines;
} plot_frame;
void plot_series_begin(gnuplot_script *p, const comparison *c, const plot_frame *f);
/* "memory, lr tuned on validation: which ...?" */
void plot_series_title(char text[768], const comparison *c, const char *question, bool training);

/* The plot itself is so wide; what is beside it comes on top. */
enum { PLOT_WIDTH = 540, PLOT_BESIDE = 80, PLOT_NAME = 360 /* at most, of a name */ };
double plot_series_names(const comparison *c); /* width of the widest label in a key */

/* Has any point a band or bar? One without height is not drawn, so that a picture of single seeds
 * has no stray edges. */
bool plot_series_spread(const plot_series *x);

/* Do all points of lines say the same, or all that there is 0? Such a picture answers nothing. */
bool plot_series_flat(const plot_series *list, int count);

/* From tic to tic over a range: 1, 2 or 5 times a power of ten, about so many of them. */
double plot_series_step(double range, int about);
