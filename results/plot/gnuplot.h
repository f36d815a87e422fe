/* A gnuplot script: written, kept beside its pictures, and run. */
#ifndef LOCI_RESULTS_GNUPLOT_H
#define LOCI_RESULTS_GNUPLOT_H

#include <stdio.h>

#include "core/base/base.h"

enum { PLOT_FILES = 384 };

/* What was drawn. */
typedef struct plot_report {
    char folder[4096]; /* where the files are */
    bool svg_only;     /* neither PNG nor PDF was wanted */
    int count;
    char files[PLOT_FILES][64]; /* names of pictures in the folder */
    char note[512];             /* "" or what is missing, and why */
} plot_report;

/* A script being written: settings and data, and the command that plots them, which is repeated for
 * each format. */
typedef struct gnuplot_script {
    FILE *out, *plot;
    int items;         /* of the command so far */
    const char *name;  /* of the files, without ending */
    int width, height; /* of the picture, in SVG's pixels */
    const char *caption;
    char *text, *command; /* behind the streams */
    size_t bytes, command_bytes;
} gnuplot_script;

/* Opens the script with what all plots share: colours, borders, grid, caption below the plot. */
void gnuplot_begin(gnuplot_script *p, const char *name, int width, int height, const char *caption);
/* The caption below the plot, as gnuplot_begin puts it. */
void gnuplot_caption(FILE *out, const char *caption);
/* "set what 'text'": a title, a label. */
void gnuplot_set(FILE *out, const char *what, const char *text);
/* Begins the next item of the plot command; it is written to what is returned. */
FILE *gnuplot_item(gnuplot_script *p);

/* An empty report of the folder, which is made where it is missing. */
bool gnuplot_begin_report(plot_report *r, const char *folder, bool svg_only, err *e);
/* Removes a script that gnuplot_run wrote, with its pictures; another's script stays. */
bool gnuplot_remove(const char *folder, const char *script, err *e);

/* Draws the command to each format, writes the script to the report's folder, runs gnuplot on it
 * and frees it. */
bool gnuplot_run(plot_report *r, gnuplot_script *p, err *e);
/* Frees a script that has nothing to draw. */
void gnuplot_drop(gnuplot_script *p);
/* Adds to the report's note; notes what fonts that are not installed cost. */
void gnuplot_note(plot_report *r, const char *text);
void gnuplot_note_fonts(plot_report *r);

/* A text as a string of gnuplot's. */
void gnuplot_quote(FILE *out, const char *text);
/* A named tic of "set xtics (", as it stands: gnuplot takes the text of a tic for a format. */
void gnuplot_tic(FILE *out, const char *text, double at);

#endif
