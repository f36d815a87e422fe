/* Accuracy on a probe against distance: at which distance each memory fails. */
#include "results/plot/plot_recall.h"

#include <math.h>
#include <stdlib.h>

#include "results/compare/compare_recall.h"

static void put_head(gnuplot_script *p, const comparison *c, const recall_comparison *r)
{
    plot_series_title(p->out, c);
    fprintf(p->out,
            "set xlabel 'distance from question to answer (tokens)'\n"
            "set ylabel 'accuracy'\nset logscale x 2\nset xrange [%.6g:%.6g]\n"
            "set yrange [-0.03:1.03]\nset format x '%%.0f'\nset xtics rotate by -35\n"
            "set key outside right top Left reverse samplen 2 spacing 1.2\n",
            (double)r->distances[0] / 1.15, (double)r->distances[r->count - 1] * 1.15);
    if (!isfinite(r->chance)) return;
    fprintf(p->out,
            "set arrow 1 from graph 0, first %.6g to graph 1, first %.6g nohead back linecolor "
            "rgb '#808080' dashtype 2\n"
            "set label 2 'chance' at graph 0.99, first %.6g right offset 0, 0.5 font ',9' "
            "textcolor rgb '#606060'\n",
            r->chance, r->chance, r->chance);
}

static void put_series(gnuplot_script *p, const recall_comparison *r, int variant)
{
    fprintf(p->out, "$series%d << EOD\n# distance accuracy low high n\n", variant);
    for (int k = 0; k < r->count; k++) {
        const recall_cell *x = &r->cells[variant * r->count + k];
        if (x->accuracy.n == 0) continue;
        fprintf(p->out, "%lld %.9g %.9g %.9g %d\n", (long long)r->distances[k], x->accuracy.mean,
                x->low, x->high, x->accuracy.n);
    }
    fputs("EOD\n", p->out);
}

/* Seeds behind a variant's points; 0: nothing to draw. */
static int seeds_of(const recall_comparison *r, int variant)
{
    int n = 0;
    for (int k = 0; k < r->count; k++) {
        n = MAX(n, r->cells[variant * r->count + k].accuracy.n);
    }
    return n;
}

/* All bands, then all lines. The caller frees the text. */
static char *plot_command(const comparison *c, const recall_comparison *r)
{
    char *text = NULL, title[320];
    size_t bytes;
    FILE *f = open_memstream(&text, &bytes);
    CHECK(f, "no memory for a command");
    const char *comma = "plot ";
    for (int i = 0; i < c->count; i++) {
        if (seeds_of(r, i) < 2) continue;
        fprintf(f,
                "%s$series%d using 1:3:4 with filledcurves linecolor %d fillstyle transparent "
                "solid 0.18 noborder notitle",
                comma, i, plot_series_colour(i));
        comma = ", \\\n     ";
    }
    for (int i = 0; i < c->count; i++) {
        int n = seeds_of(r, i);
        if (n == 0) continue;
        /* Many are right everywhere up to their reach: those below stay visible as a rim. */
        fprintf(f,
                "%s$series%d using 1:2 with linespoints linecolor %d dashtype %d pointtype 7 "
                "pointsize 0.5 linewidth %.1f title ",
                comma, i, plot_series_colour(i), plot_series_dashes(i),
                1.2 + 0.6 * (c->count - 1 - i));
        snprintf(title, sizeof title, "%s (n = %d)", c->variants[i].label, n);
        gnuplot_quote(f, title);
        comma = ", \\\n     ";
    }
    fclose(f);
    return text;
}

bool plot_recall(gnuplot_script *p, arena *a, store *s, const comparison *c, err *e)
{
    const recall_comparison *r = compare_recall(a, c, s, e);
    int drawn = 0;
    for (int i = 0; r && i < c->count; i++) {
        drawn += r->count > 0 && seeds_of(r, i) > 0;
    }
    if (drawn == 0) return false;
    gnuplot_begin(p, "recall", 760, MAX(440, 120 + 19 * c->count),
                  "Line: mean over n seeds. Band: from the lowest to the highest seed.");
    put_head(p, c, r);
    for (int i = 0; i < c->count; i++) {
        if (seeds_of(r, i) > 0) put_series(p, r, i);
    }
    char *command = plot_command(c, r);
    gnuplot_draw(p, command);
    free(command);
    return true;
}
