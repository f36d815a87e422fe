/* A gnuplot script: written, kept beside its pictures, and run. */
#pragma once

#include <stdio.h>

#include "core/base/base.h"
#include "core/base/text.h"

enum { PLOT_FILES = 384 };

/* What is wanted. */
typedef struct plot_how {
    const char *folder;
    bool svg_only; /* the quick half, without PNG and PDF */
    bool all;      /* not only the first PLOT_FIRST pictures */
} plot_how;
enum { PLOT_FIRST = 10 };

/* What was drawn. */
typedef struct plot_report {
    char folder[4096]; /* where the files are */
    bool svg_only;     /* neither PNG nor PDF was wanted */
    bool all;
    int pictures, count;
    char files[PLOT_FILES][64]; /* names of pictures in the folder */
    /* Of SVG files where data lies: left, right, bottom, top of the plot in pixels from the left
     * and the bottom, then the values there, and the
     * picture's width and height; "": panels. */
    char map[PLOT_FILES][128];
    char note[1024];   /* "" or what is missing, and why */
    char spared[1024]; /* "" or names of pictures that were not drawn, being too many */
} plot_report;

/* A script being written: settings and data, and the command that plots them, which is repeated for
 * each format. */
typedef struct gnuplot_script {
    FILE *out, *plot;
    int items;           /* of the command so far */
    const char *name;    /* of the files, without ending */
    int width, height;   /* of the picture, in SVG's pixels */
    double above, below; /* margins of the plot, in lines */
    const char *caption;
    text_memory text, command; /* behind the streams */
} gnuplot_script;

/* Opens the script with what all plots share: colours, borders, grid, caption below the plot. */
void gnuplot_begin(gnuplot_script *p, const char *name, int width, int height, const char *caption);
/* The caption below the plot, as gnuplot_begin puts it, broken to fit; how many lines it has. */
int gnuplot_caption(FILE *out, const gnuplot_script *p);
/* "set what 'text'": a label; a title, broken to fit into the picture, `middle` pixels from whose
 * left the plot has its middle. */
void gnuplot_set(FILE *out, const char *what, const char *text);
void gnuplot_title(gnuplot_script *p, double middle, const char *text);
/* Makes the picture higher where it is too low for a plot of so many pixels, or for a key of so
 * many lines beside it: gnuplot puts what does not fit into a second column, over the plot. For all
 * of the title's lines and the caption's, so behind gnuplot_title. */
void gnuplot_room(gnuplot_script *p, double plot, int key);
/* Begins the next item of the plot command; it is written to what is returned. */
FILE *gnuplot_item(gnuplot_script *p);

/* An empty report of the folder, which is made where it is missing. */
bool gnuplot_begin_report(plot_report *r, const plot_how *how, err *e);
/* Removes a script that gnuplot_run wrote, with its pictures; another's script stays. */
bool gnuplot_remove(const char *folder, const char *script, err *e);

/* Draws the command to each format, writes the script to the report's folder, runs gnuplot on it
 * and frees it. */
bool gnuplot_run(plot_report *r, gnuplot_script *p, err *e);
/* Adds to the report's note, unless that says so already. */
void gnuplot_note(plot_report *r, const char *text);

/* A text as a string of gnuplot's. */
void gnuplot_quote(FILE *out, const char *text);
/* The same with its line breaks, which the other makes spaces. */
void gnuplot_quote_lines(FILE *out, const char *text);
/* A named tic of "set xtics (", as it stands: gnuplot takes the text of a tic for a format. */
void gnuplot_tic(FILE *out, const char *text, double at);
