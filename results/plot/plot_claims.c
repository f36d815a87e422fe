#include "results/plot/plot_claims.h"

#include <math.h>
#include <string.h>

#include "results/claims/claims_print.h"
#include "results/plot/plot_series.h"
#include "results/plot/plot_text.h"

/* Claims have units of their own, so what can be drawn beside each other is how far each lies
 * inside of its margin, relative to its own scale: the dashed line is the margin, and a claim whose
 * bar crosses it is not decided. The numbers themselves stand below each bar. Colours are those of
 * `podo` for blue and vermilion, which colour-blind readers can tell apart, grey for what is
 * open. */

/* The size of the figures' letters; pixels for the key beside the plot. */
enum { FIGURES = 9, KEY = 140 };

static const struct {
    const char *name, *colour;
} KIND[] = {[VERDICT_UNDECIDED] = {"undecided", "#707070"},
            [VERDICT_HOLDS] = {"holds", "#0072b2"},
            [VERDICT_FAILS] = {"fails", "#d55e00"}};

/* How far inside of its margin the deciding statement lies: claims of different units have nothing
 * else in common. Above 0 it holds. */
typedef struct inside {
    double mean, low, high;
} inside;

/*   better, rises   estimate - edge
 *   falls, at most  edge - estimate
 *   within          edge - |estimate|
 *
 * Above 0 on the side where the claim is right. */
static inside inside_of(const stated_claim *c)
{
    const claim_verdict *v = c->verdict;
    const judgement *j = &v->statements[v->worst];
    switch (c->claim->statements[v->worst].kind) {
    case STATEMENT_WITHIN: {
        /* An interval that contains 0 comes as near to the middle as possible, at distance 0. */
        double far = fmax(fabs(j->low), fabs(j->high)), near = fmin(fabs(j->low), fabs(j->high));
        bool zero = j->low < 0 && j->high > 0;
        return (inside){j->edge - fabs(j->estimate), j->edge - far, j->edge - (zero ? 0 : near)};
    }
    case STATEMENT_AT_MOST:
    case STATEMENT_FALLS:
        return (inside){j->edge - j->estimate, j->edge - j->high, j->edge - j->low};
    case STATEMENT_BETTER:
    case STATEMENT_RISES:
    default:
        return (inside){j->estimate - j->edge, j->low - j->edge, j->high - j->edge};
    }
}

/* Each row to a scale of its own: what lies farthest from the margin is 1. A scale of its own for
 * each row: bits and seconds share no axis, and a claim about the one would shrink to a dot beside
 * the other. */
static inside scaled(inside x, double edge)
{
    /* One seed: a point without a bar. */
    if (!isfinite(x.low)) x.low = x.high = x.mean;
    double most = fmax(fabs(x.mean), fmax(fabs(x.low), fabs(x.high)));
    /* What is at the margin but for rounding, of a variance whose root is taken, would be drawn as
     * wide as the picture. */
    if (!(most > 1e-6 * fabs(edge))) return (inside){0};
    return (inside){x.mean / most, x.low / most, x.high / most};
}

/* Returns how many rows. One data block for each verdict, since gnuplot takes colour and name in
 * the key by item. */
static int put_rows(FILE *out, const claims *x, verdict kind)
{
    int count = 0;
    fprintf(out, "$%s << EOD\n# inside line low high\n", KIND[kind].name);
    for (int i = 0; i < x->count; i++) {
        inside row = inside_of(&x->list[i]);
        const claim_verdict *v = x->list[i].verdict;
        if (v->verdict != kind || !isfinite(row.mean)) continue;
        row = scaled(row, v->statements[v->worst].edge);
        fprintf(out, "%.9g %d %.9g %.9g\n", row.mean, i + 1, row.low, row.high);
        count++;
    }
    fputs("EOD\n", out);
    return count;
}

/* What was claimed when there were results is marked here as well: a picture is shown without its
 * table. */
static void name_of(char name[320], const stated_claim *c)
{
    plot_text_cut(name, 256, c->claim->name, PLOT_NAME, PLOT_LETTERS);
    size_t n = strlen(name);
    snprintf(name + n, 320 - n, "%s (n = %d%s)", c->after_the_fact ? ", after the fact" : "",
             c->verdict->documents ? c->verdict->documents : c->verdict->n,
             c->verdict->documents ? " documents" : "");
}

/* Rows count from the top, as the table's do: the y axis is turned round by its range. */
static void put_names(FILE *out, const claims *x)
{
    fputs("set ytics noenhanced scale 0 (", out);
    for (int i = 0; i < x->count; i++) {
        char name[320];
        name_of(name, &x->list[i]);
        if (i > 0) fputs(", ", out);
        gnuplot_tic(out, name, i + 1);
    }
    fputs(")\n", out);
}

static void put_small(FILE *out, int number, const char *text, const char *where, double line)
{
    fprintf(out, "set label %d ", number);
    gnuplot_quote(out, text);
    fprintf(out, " noenhanced at graph %s, first %g ", where[0] == 'l' ? "0.02" : "0.98", line);
    fprintf(out, "%s font ',%d' textcolor rgb '#404040'\n", where, FIGURES);
}

/* What stands below a row at its left and its right. */
static void figures_of(char text[128], char words[80], const stated_claim *c)
{
    char edge[64];
    claims_estimate(text, c);
    claims_edge(edge, c);
    snprintf(words, 80, "has to be %s", edge);
}

/* The figures themselves and what they had to be, below each row. Inside of the plot, at its sides,
 * so that a long unit needs no margin. */
static void put_figures(FILE *out, const claims *x)
{
    for (int i = 0; i < x->count; i++) {
        char text[128], words[80];
        figures_of(text, words, &x->list[i]);
        put_small(out, 2 * i + 2, text, "left", i + 1.32);
        put_small(out, 2 * i + 3, words, "right", i + 1.32);
    }
}

/* In pixels: the widest name, and a plot in which no row's two figures meet. Reckoned here, as
 * gnuplot gives long names the plot's room. */
static void widths_of(double *names, double *plot, const claims *x)
{
    *names = 0;
    *plot = PLOT_WIDTH;
    for (int i = 0; i < x->count; i++) {
        char name[320], text[128], words[80];
        name_of(name, &x->list[i]);
        figures_of(text, words, &x->list[i]);
        double figures = plot_text_width(text, FIGURES) + plot_text_width(words, FIGURES);
        *names = fmax(*names, plot_text_width(name, PLOT_LETTERS) + 20);
        /* They begin 0.02 of the plot from its sides. */
        *plot = fmax(*plot, (figures + 20) / 0.96);
    }
}

/* 52 pixels a row: bar, its figures below it, and air to the next. */
static void begin(gnuplot_script *p, const claims *x)
{
    char title[512];
    double names, plot;
    widths_of(&names, &plot, x);
    int width = (int)(names + plot) + KEY;
    gnuplot_begin(p, "claims", width, 170 + 52 * x->count,
                  "Bar: estimate and interval of the statement that decides. Colours: after Holm's "
                  "correction over all claims.");
    snprintf(title, sizeof title, "%.200s: which claims hold, and by how much?", x->experiment);
    gnuplot_title(p, names + plot / 2, title);
    gnuplot_room(p, 0, VERDICT_FAILS + 1);
    gnuplot_set(p->out, "xlabel", "distance from the margin, each row to its own scale");
    fprintf(p->out,
            "set border 1\nset grid noxtics noytics\n"
            "set xtics ('fails' -0.5, 'margin' 0, 'holds' 0.5)\nset xrange [-1.1:1.1]\n"
            "set yrange [%d.6:0.5]\n"
            "set arrow 1 from 0, graph 0 to 0, graph 1 nohead back linecolor rgb '#404040' "
            "dashtype 2\n"
            "set lmargin at screen %.4f\nset rmargin at screen %.4f\n"
            "set key at screen %.4f, graph 1 left top Left reverse samplen 1.5 spacing 1.2 maxcols "
            "1 width -100\n",
            x->count, names / width, (names + plot) / width, (names + plot + 10) / width);
    put_names(p->out, x);
    put_figures(p->out, x);
}

bool plot_claims(plot_report *r, const claims *x, err *e)
{
    int rows = 0;
    for (int i = 0; i < x->count; i++) {
        rows += isfinite(inside_of(&x->list[i]).mean);
    }
    /* Nothing measured yet, or no claims at all: no picture, and no complaint. */
    if (rows == 0) return true;
    gnuplot_script p;
    begin(&p, x);
    for (int kind = VERDICT_UNDECIDED; kind <= VERDICT_FAILS; kind++) {
        if (put_rows(p.out, x, (verdict)kind) == 0) continue;
        fprintf(gnuplot_item(&p),
                "$%s using 1:2:3:4 with xerrorbars pointtype 5 pointsize 0.9 linewidth 1.8 "
                "linecolor rgb '%s' title '%s'",
                KIND[kind].name, KIND[kind].colour, KIND[kind].name);
    }
    return gnuplot_run(r, &p, e);
}
