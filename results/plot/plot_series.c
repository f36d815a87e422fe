#include "results/plot/plot_series.h"

#include <math.h>
#include <string.h>

#include "results/compare/compare_notes.h"
#include "results/plot/plot_band.h"
#include "results/plot/plot_text.h"

/* What pictures of variants have in common: what each looks like, how wide names are, where the key
 * stands. What a picture brings is points and axes. Sizes are reckoned in pixels beforehand and
 * given to gnuplot as shares of the picture, since it reserves room by counting letters, and long
 * labels would push the plot together. */

/* At least two of a unit, or the axis would be of fractions; a budget of a million tokens is called
 * so all the same. */
plot_unit plot_series_unit(double most, bool against_time)
{
    /* The name is the axis's whole label, so that the unit cannot be forgotten. */
    static const plot_unit tokens[] = {{1e9, "training tokens (billions)"},
                                       {1e6, "training tokens (millions)"},
                                       {1e3, "training tokens (thousands)"},
                                       {1, "training tokens"}};
    static const plot_unit times[] = {{86400, "training time (days)"},
                                      {3600, "training time (hours)"},
                                      {60, "training time (minutes)"},
                                      {1, "training time (seconds)"}};
    const plot_unit *list = against_time ? times : tokens;
    for (int i = 0; i < 3; i++) {
        if (most >= 2 * list[i].size || (i == 1 && !against_time && most >= 1e6)) return list[i];
    }
    return list[3];
}

int plot_series_colour(int look)
{
    static const int colours[] = {1, 2, 3, 4, 6, 7, 8}; /* 5 is the yellow */
    return colours[look % PLOT_TELLABLE];
}

/* Colour and dashes of a look are its rest and its quotient, as plot_look.c puts it together; after
 * five they repeat. */
static int dashes_of(int look)
{
    return 1 + look / PLOT_TELLABLE % 5;
}

void plot_series_title(char text[768], const comparison *c, const char *question, bool training)
{
    char choice[512];
    /* A title that names only what is on the axes leaves it to the reader what to look for. */
    CHECK(question, "a picture answers a question");
    comparison shown = *c;
    /* A curve of training is of no split that was evaluated. */
    shown.split_asked = c->split_asked && !training;
    if (training) shown.protocol_asked = NULL;
    compare_notes_title(choice, &shown);
    snprintf(text, 768, "%s: %s", choice, question);
}

/* The widest name with the longest count of seeds behind it; longer ones are cut. */
double plot_series_names(const comparison *c)
{
    double widest = 0;
    for (int i = 0; i < c->count; i++) {
        widest = fmax(widest, plot_text_width(c->variants[i].label, PLOT_LETTERS));
    }
    return fmin(widest + plot_text_width(" (n = 2 to 3)", PLOT_LETTERS), PLOT_NAME + 20);
}

/* The plot ends and the key begins where PLOT_BESIDE + PLOT_WIDTH pixels are over. Outside of the
 * plot, so that it hides no curve whatever their course. */
static void put_key(gnuplot_script *p, double sample)
{
    double end = (double)(PLOT_BESIDE + PLOT_WIDTH) / p->width;
    /* In one column, wherever letters are wider than gnuplot thinks. */
    fprintf(
        p->out,
        "set rmargin at screen %.4f\n"
        "set key at screen %.4f, graph 1 left top Left reverse samplen %g spacing 1.2 maxcols 1 "
        "width -100\n",
        end, end + 10.0 / p->width, sample);
}

/* In pixels: no picture is lower, and a longer label, turned by a right angle, would leave it. */
enum { HEIGHT = 440, Y_LABEL = HEIGHT - 80 };

void plot_series_begin(gnuplot_script *p, const comparison *c, const plot_frame *f)
{
    char title[768], y[400];
    /* The key may be of other names than the variants' (plot_axis.c). */
    double names = f->names > 0 ? fmin(f->names, PLOT_NAME + 20) : plot_series_names(c);
    bool dashed = false; /* dashes need some length to be told apart */
    for (int i = 0; i < c->count; i++) {
        dashed = dashed || dashes_of(c->variants[i].look) > 1;
    }
    gnuplot_begin(p, f->name, PLOT_BESIDE + PLOT_WIDTH + 60 + (int)names, HEIGHT, f->caption);
    plot_series_title(title, c, f->question, f->training);
    gnuplot_title(p, PLOT_BESIDE + PLOT_WIDTH / 2.0, title);
    /* A picture grows with its variants; gain-* have the baseline in their key besides. */
    gnuplot_room(p, 0, f->lines + 1);
    gnuplot_set(p->out, "xlabel", f->x);
    plot_text_cut(y, sizeof y, f->y, Y_LABEL, PLOT_LETTERS);
    gnuplot_set(p->out, "ylabel", y);
    put_key(p, dashed ? 4 : 2);
}

/* A single point is not flat, unless it is 0: one figure that is not 0 says something. */
bool plot_series_flat(const plot_series *list, int count)
{
    double low = (double)INFINITY, high = -(double)INFINITY;
    int most = 0;
    for (int i = 0; i < count; i++) {
        most = MAX(most, list[i].count);
        for (int k = 0; k < list[i].count; k++) {
            low = fmin(low, list[i].point[k].low);
            high = fmax(high, list[i].point[k].high);
        }
    }
    bool zero = !(low < 0) && !(high > 0);
    return !(high > low) && (most > 1 || zero);
}

/* The step's leading digit is rounded up to the next of 1, 2, 5, 10. */
double plot_series_step(double range, int about)
{
    double step = range / about;
    if (!(step > 0)) return 1;
    double power = pow(10, floor(log10(step))), lead = step / power;
    return power * (lead <= 1 ? 1 : lead <= 2 ? 2 : lead <= 5 ? 5 : 10);
}

/* "long (n = 2 to 3)" Seeds differ along a line where some ended earlier; both ends are said. */
static void name_of(char text[320], const plot_series *x)
{
    int least = x->point[0].n, most = least;
    for (int i = 1; i < x->count; i++) {
        least = MIN(least, x->point[i].n);
        most = MAX(most, x->point[i].n);
    }
    plot_text_cut(text, 288, x->label, PLOT_NAME - 60, PLOT_LETTERS);
    int n = (int)strlen(text);
    if (most == 0) return;
    n += snprintf(text + n, (size_t)(320 - n), " (n = %d", least);
    if (most > least) n += snprintf(text + n, (size_t)(320 - n), " to %d", most);
    snprintf(text + n, (size_t)(320 - n), ")");
}

/* Nine digits give a float back, and no picture shows more. Empty lines break a line in gnuplot. */
void plot_series_data(FILE *out, const plot_series *x, int index)
{
    fprintf(out, "$series%d << EOD\n# x mean low high n\n", index);
    for (int i = 0; i < x->count; i++) {
        const plot_point *p = &x->point[i];
        if (i > 0 && p->x < x->point[i - 1].x) fputc('\n', out);
        fprintf(out, "%.9g %.9g %.9g %.9g", p->x, p->mean, p->low, p->high);
        if (p->n > 0) fprintf(out, " %d", p->n);
        fprintf(out, "%s%s\n", p->more ? " " : "", p->more ? p->more : "");
    }
    fputs("EOD\n", out);
}

/* Nearly transparent: of two that overlap both can be seen, and of many the lines still. */
static void put_band(FILE *out, const plot_series *x, int index, bool cut, double fill)
{
    fprintf(out,
            "$%s%d using %s with filledcurves linecolor %d fillstyle transparent solid %.2f "
            "noborder notitle",
            cut ? "band" : "series", index, cut ? "1:2:3" : "1:3:4", plot_series_colour(x->look),
            fill);
}

bool plot_series_spread(const plot_series *x)
{
    for (int i = 0; i < x->count; i++) {
        if (x->point[i].high > x->point[i].low) return true;
    }
    return false;
}

const char *plot_series_spreads(int lines, bool marked)
{
    if (lines > PLOT_TELLABLE)
        return marked ? "Point: mean over n seeds." : "Line: mean over n seeds.";
    return marked ? "Point: mean over n seeds. Band: from the lowest to the highest seed."
                  : "Line: mean over n seeds. Band: from the lowest to the highest seed.";
}

/* One style for each kind of picture, by plot_style. Bars differ in marks where lines differ in
 * dashes. */
static void put_line(FILE *out, const plot_series *x, int index, plot_style style)
{
    static const char *const with[] = {
        [PLOT_LINES] = "1:2 with lines",
        [PLOT_MARKED] = "1:2 with linespoints pointtype 7 pointsize 0.5",
        [PLOT_BARS] = "1:2:3:4 with yerrorbars pointsize 1",
        [PLOT_BAR_LINES] = "1:2:3:4 with yerrorlines pointtype 7",
        [PLOT_MARKED_BARS] = "1:2:3:4 with yerrorlines pointtype 7 pointsize 0.5"};
    bool alone = style == PLOT_LINES && x->count == 1; /* a single point makes no line */
    char name[320];
    const char *drawn = alone ? "1:2 with points pointtype 7" : with[style];
    /* The first letter is the column of x. */
    fprintf(out, "$series%d using %s%s linecolor %d ", index, *x->at ? x->at : "1", drawn + 1,
            plot_series_colour(x->look));
    fprintf(out, style == PLOT_BARS ? "pointtype %d " : "dashtype %d ",
            /* Point types from 5 on: those before are crosses and a hollow square, thin beside
             * their bars. */
            dashes_of(x->look) + (style == PLOT_BARS ? 4 : 0));
    fprintf(out, "linewidth %.1f title ",
            x->width > 0                ? x->width
            : style == PLOT_MARKED_BARS ? 1.2
                                        : 1.6);
    name_of(name, x);
    gnuplot_quote(out, name);
}

/* Data first, as gnuplot needs a block before the command that uses it. */
void plot_series_draw(gnuplot_script *p, const plot_series *list, int count, plot_style style,
                      bool bands, const double *range)
{
    for (int i = 0; i < count; i++) {
        if (list[i].count > 0) plot_series_data(p->out, &list[i], i);
    }
    int bands_drawn = 0;
    for (int i = 0; bands && i < count; i++) {
        bands_drawn += list[i].count > 0 && plot_series_spread(&list[i]);
    }
    /* All bands lie below all lines. */
    for (int i = 0; i < count && bands_drawn <= PLOT_TELLABLE; i++) {
        bool cut = range && plot_band_leaves(&list[i], range);
        if (!bands || !plot_series_spread(&list[i])) continue;
        if (cut) plot_band_data(p->out, &list[i], i, range);
        put_band(gnuplot_item(p), &list[i], i, cut, bands_drawn > PLOT_BANDS ? 0.10 : 0.18);
    }
    for (int i = 0; i < count; i++) {
        if (list[i].count > 0) put_line(gnuplot_item(p), &list[i], i, style);
    }
}
