/* What a line of a picture consists of. */
#pragma once

typedef struct plot_point {
    double x, mean, low, high;
    int n;            /* seeds behind it; 0: it does not say */
    const char *more; /* further columns of the script's data; NULL: none */
} plot_point;

/* From an x to a smaller one its line is broken. */
typedef struct plot_series {
    const char *label;
    int look;     /* which colour, dashes and marks: the variant's index, the same everywhere */
    double width; /* of its line; 0: as all */
    int count;    /* 0: nothing to draw */
    plot_point *point;
    char at[40]; /* where its points stand, as gnuplot reckons it from their x ("($1+0.1)"); "": at
                    their x */
} plot_series;
