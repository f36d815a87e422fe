/* A gnuplot script being written: shared by the plots. */
#ifndef LOCI_RESULTS_GNUPLOT_H
#define LOCI_RESULTS_GNUPLOT_H

#include <stdio.h>

#include "results/compare/compare.h"
#include "results/plot/plot.h"

typedef struct gnuplot_script {
    FILE *out;
    char *text; /* what was written, after plot_script_end */
    size_t bytes;
    const char *name;  /* of the files, without ending */
    int width, height; /* of the picture, in SVG's pixels */
    const char *caption;
} gnuplot_script;

/* Opens the script with what all plots share: colours, borders, grid, caption below the plot. */
void gnuplot_begin(gnuplot_script *p, const char *name, int width, int height, const char *caption);
/* The title: the experiment, and how its variants were chosen. */
void plot_put_title(FILE *out, const comparison *c);
/* The caption below the plot, as gnuplot_begin puts it. */
void gnuplot_caption(FILE *out, const char *caption);
/* Draws `command` (a plot command) to each format and closes the script. */
void gnuplot_draw(gnuplot_script *p, const char *command);

/* Writes the script to the report's folder, runs gnuplot on it and frees its text. */
bool gnuplot_run(plot_report *r, gnuplot_script *p, err *e);
/* Adds to the report's note; notes what fonts that are not installed cost. */
void gnuplot_note(plot_report *r, const char *text);
void gnuplot_note_fonts(plot_report *r);

/* The unit of an axis of training tokens, or time in seconds, up to `most`: the largest of which it
 * holds at least two, or a million. */
typedef struct plot_unit {
    double size;
    const char *name; /* as the axis is called */
} plot_unit;
plot_unit plot_training_unit(double most, bool against_time);

/* A text as gnuplot's single-quoted string. */
void gnuplot_quote(FILE *out, const char *text);

/* So many lines can be told apart, each in its colour and with its band; more of them are drawn
 * without bands, which would hide each other. */
enum { PLOT_TELLABLE = 7 };

/* Colour (podo without its yellow, which is weak on white) and dashes of the i-th series. */
int plot_colour(int series);
int plot_dashes(int series);

/* Fill the script (begun here, closed by gnuplot_draw). False, and nothing begun, if there is
 * nothing to draw; false with e if the database cannot be read. */
/* facets: a panel for each variant, if there are more than seven of them, else nothing. */
bool plot_curves(gnuplot_script *p, arena *a, store *s, const comparison *c, bool against_time,
                 bool facets, err *e);
bool plot_differences(gnuplot_script *p, const comparison *c);
bool plot_recall(gnuplot_script *p, arena *a, store *s, const comparison *c, err *e);
/* Draw final quality against each cost that differs (results/plot/plot_cost.c), and against the
 * numbers of each swept axis, a line for each choice of the others (results/plot/plot_axis.c). */
bool plot_cost(plot_report *r, const comparison *c, err *e);
/* Draws gain against relative cost of evaluation, where a model learned in it. */
bool plot_gain(plot_report *r, const comparison *c, err *e);
bool plot_axis(plot_report *r, arena *a, store *s, const comparison *c, err *e);
/* Draws loss and gain by slices of the text (results/plot/plot_slices.c), where they are recorded.
 */
bool plot_slices(plot_report *r, arena *a, store *s, const comparison *c, err *e);
/* Draws load and stability of routed layers (results/plot/plot_routing.c), where any are. */
bool plot_routing(plot_report *r, arena *a, store *s, const comparison *c, err *e);
/* What both begin with: titles, room around the points, the key. */
void plot_cost_axes(gnuplot_script *p, const comparison *c, const char *x_title, bool logarithmic);

#endif
