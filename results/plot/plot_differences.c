#include "results/plot/plot_differences.h"

#include <math.h>
#include <string.h>

#include "results/plot/plot_dodge.h"
#include "results/plot/plot_text.h"

/* One row for each variant, the baseline a dashed line at 0: what crosses the line is not known to
 * differ. Single seeds are dots below their bar, as an interval hides whether it comes of three
 * seeds that agree or of one that does not. */

/* Without a pair there is nothing to draw, in any of the functions below: their lines must
 * agree. */
static bool drawn(const comparison *c, int i)
{
    return i != c->baseline && c->variants[i].difference.n > 0;
}

/* How far the picture reaches. Bars that are much longer than the others leave it, and a row whose
 * mean is FAR times as large as is usual stands at its edge as a number (a perplexity of 8,000
 * where training failed): all others would be one line. */
typedef struct reach {
    double far;      /* from there on a mean is a number at the edge */
    double range[2]; /* of the axis */
    bool cut;
} reach;
enum { FAR = 20, LEAST_ROWS = 3 };

static bool is_far(const comparison *c, int i, const reach *x)
{
    return drawn(c, i) && fabs(c->variants[i].difference.mean) >= x->far;
}

/* FAR times the median of the differences' sizes; of two rows neither is usual. */
static double far_of(arena *a, const comparison *c)
{
    double *size = ARENA_NEW(a, double, c->count);
    int n = 0;
    for (int i = 0; i < c->count; i++) {
        if (drawn(c, i)) size[n++] = fabs(c->variants[i].difference.mean);
    }
    double usual = n < LEAST_ROWS ? 0 : stats_median(size, n);
    return usual > 0 ? FAR * usual : (double)INFINITY;
}

static reach reach_of(arena *a, const comparison *c)
{
    reach x = {.far = far_of(a, c)};
    plot_series rows = {.point = ARENA_NEW(a, plot_point, c->count)};
    for (int i = 0; i < c->count; i++) {
        estimate d = c->variants[i].difference;
        double half = isfinite(d.half) ? d.half : 0;
        x.cut = x.cut || is_far(c, i, &x);
        if (!drawn(c, i) || is_far(c, i, &x)) continue;
        rows.point[rows.count++] = (plot_point){
            .x = i, .mean = d.mean, .low = d.mean - half, .high = d.mean + half, .n = d.n};
    }
    x.cut = plot_dodge_cuts(x.range, &rows, 1) || x.cut;
    /* With 0, where the baseline's line is, and some room beside it. */
    double air = 0.04 * (fmax(x.range[1], 0) - fmin(x.range[0], 0));
    if (!(air > 0)) air = 0.01; /* all are equal to it */
    x.range[0] = fmin(x.range[0], -air);
    x.range[1] = fmax(x.range[1], air);
    return x;
}

/* Seeds stand below the bar, a little apart so that equal figures do not hide each other. By the
 * seed's number, not by chance: the same data give the same picture. */
static double jitter(int seed, int seeds)
{
    return 0.27 + (seeds > 1 ? 0.16 * ((double)seed / (seeds - 1) - 0.5) : 0);
}

/* Differences of pairs, as the interval is of these; a seed without a partner has no dot. */
static void put_seeds(FILE *out, const comparison *c)
{
    fputs("$seeds << EOD\n# difference line seed\n", out);
    int line = 0;
    for (int i = 0; i < c->count; i++) {
        const compared_variant *v = &c->variants[i];
        if (!drawn(c, i)) continue; /* without a baseline none is */
        const compared_variant *base = &c->variants[c->baseline];
        line++;
        for (int k = 0; k < v->run_count; k++) {
            double d =
                v->runs[k].value[c->metric] - compare_seed_value(base, v->runs[k].seed, c->metric);
            if (!isfinite(d)) continue;
            /* The seed stands behind its dot, for who looks a point up in the script. */
            fprintf(out, "%.9g %.4f %lld\n", d, line + jitter(k, v->run_count),
                    (long long)v->runs[k].seed);
        }
    }
    fputs("EOD\n", out);
}

/* What a difference says. */
enum { BETTER, WORSE, NOISE, LOST, ONE_SEED, KINDS };

static const struct {
    const char *name, *title, *colour;
    /* Blue and vermilion of `podo`, as in plot_claims.c: better and worse, told apart by
     * colour-blind readers as well. Noise is grey, so that it does not draw the eye. */
} KIND[KINDS] = {{"better", "better", "#0072b2"},
                 {"worse", "worse", "#d55e00"},
                 {"noise", "within noise", "#707070"},
                 {"lost", "seeds were lost", "#707070"},
                 {"single", "one seed", "#707070"}};

/* Noise by the same rule as the table's words (compare_sure), so that a bar beside the line can be
 * grey: its p did not survive the correction. */
static int kind_of(const compared_variant *v)
{
    if (v->difference.n == 1) return ONE_SEED;
    if (compare_clear(v) && !compare_sure(v)) return LOST;
    return !compare_sure(v) ? NOISE : v->difference.mean < 0 ? BETTER : WORSE;
}

/* How many kinds there are, each with its line in the key. */
static int kinds_of(const comparison *c)
{
    bool there[KINDS] = {false};
    int count = 0;
    for (int i = 0; i < c->count; i++) {
        if (!drawn(c, i)) continue;
        bool *x = &there[kind_of(&c->variants[i])];
        count += !*x;
        *x = true;
    }
    return count;
}

/* Returns how many lines. A data block for each kind, for its colour and its name in the key;
 * `line` counts all rows, so that each kind's bars stand in their own. */
static int put_means(FILE *out, const comparison *c, int kind)
{
    int line = 0, count = 0;
    fprintf(out, "$%s << EOD\n# difference line low high n\n", KIND[kind].name);
    for (int i = 0; i < c->count; i++) {
        if (!drawn(c, i)) continue;
        estimate d = c->variants[i].difference;
        line++;
        if (kind_of(&c->variants[i]) != kind) continue;
        double half = isfinite(d.half) ? d.half : 0;
        fprintf(out, "%.9g %d %.9g %.9g %d\n", d.mean, line, d.mean - half, d.mean + half, d.n);
        count++;
    }
    fputs("EOD\n", out);
    return count;
}

/* n is beside each name: intervals of two seeds and of ten look alike, and are not as good. */
static void put_names(FILE *out, const comparison *c)
{
    int line = 0;
    fputs("set ytics noenhanced scale 0 (", out);
    for (int i = 0; i < c->count; i++) {
        if (!drawn(c, i)) continue;
        char name[320];
        plot_text_cut(name, sizeof name - 32, c->variants[i].label, PLOT_NAME - 60, PLOT_LETTERS);
        size_t n = strlen(name);
        const compared_variant *v = &c->variants[i];
        int used = snprintf(name + n, sizeof name - n, " (n = %d", v->difference.n);
        n += (size_t)used;
        if (v->lost_pairs) n += (size_t)snprintf(name + n, sizeof name - n, " of %d", v->pairs);
        snprintf(name + n, sizeof name - n, ")");
        if (line++) fputs(", ", out);
        gnuplot_tic(out, name, line);
    }
    fputs(")\n", out);
}

/* "8211 ->" at the edge that the row lies beyond, in its colour, above what its bar leaves of a
 * line in the picture. */
static void put_far(FILE *out, const comparison *c, const reach *x)
{
    int line = 0;
    for (int i = 0; i < c->count; i++) {
        char text[64];
        line += drawn(c, i);
        if (!is_far(c, i, x)) continue;
        double mean = c->variants[i].difference.mean;
        snprintf(text, sizeof text, mean > 0 ? "%+.4g \u2192" : "\u2190 %+.4g", mean);
        fprintf(out, "set label %d ", line + 1);
        gnuplot_quote(out, text);
        fprintf(out, " at graph %s, first %d %s offset 0,0.6 textcolor rgb '%s'\n",
                mean > 0 ? "0.99" : "0.01", line, mean > 0 ? "right" : "left",
                KIND[kind_of(&c->variants[i])].colour);
    }
}

/* Width and height follow from names and rows, so that a plot of thirty variants is as legible as
 * one of three; margins are fixed in pixels, as gnuplot guesses the widths of names badly. */
static void begin(gnuplot_script *p, const comparison *c, const reach *x, int lines)
{
    char title[768], text[512], base[300], question[400], caption[256];
    /* Names on the left, the plot in the middle, the key on the right: none may take room from
     * another. */
    double names = plot_series_names(c) + 20;
    int width = (int)names + PLOT_WIDTH + 140;
    snprintf(caption, sizeof caption,
             "Bar: mean and 95 %% t-interval of the difference, paired by seed (none for n = 1)%s. "
             "Dots: single seeds. Colours: after Holm's correction.",
             x->cut ? PLOT_LONG : "");
    gnuplot_begin(p, "differences", width, 170 + 42 * lines, caption);
    plot_text_cut(base, sizeof base, c->variants[c->baseline].label, PLOT_NAME, PLOT_LETTERS);
    snprintf(question, sizeof question, "what is better or worse than '%s', and how surely?", base);
    plot_series_title(title, c, question, false);
    gnuplot_title(p, names + PLOT_WIDTH / 2.0, title);
    gnuplot_room(p, 0, kinds_of(c) + 1);
    snprintf(text, sizeof text, "difference to '%s' (%s, lower is better)", base,
             compare_metric_title(c->metric));
    gnuplot_set(p->out, "xlabel", text);
    fprintf(p->out,
            "set border 1\nset grid xtics noytics\nset xtics %g\n"
            "set yrange [%d.5:0.5]\nset xrange [%.6g:%.6g]\n"
            "set arrow 1 from 0, graph 0 to 0, graph 1 nohead back linecolor rgb '#404040' "
            "dashtype 2\n"
            "set lmargin at screen %.4f\nset rmargin at screen %.4f\n"
            "set key at screen %.4f, graph 1 left top Left reverse samplen 1.5 spacing 1.2 maxcols "
            "1 width -100\n",
            plot_series_step(x->range[1] - x->range[0], 6), lines, x->range[0], x->range[1],
            names / width, (names + PLOT_WIDTH) / width, (names + PLOT_WIDTH + 10) / width);
    put_names(p->out, c);
    put_far(p->out, c, x);
}

/* Dots, then bars by kind: each kind is one item, in one colour and with one name in the key. */
bool plot_differences(plot_report *r, arena *a, store *s, const comparison *c, err *e)
{
    int lines = 0;
    (void)s;
    for (int i = 0; c->baseline >= 0 && i < c->count; i++) {
        lines += drawn(c, i);
    }
    /* Told, since the picture is expected: nearly every experiment has a baseline. */
    if (lines == 0) {
        gnuplot_note(r, c->count > 1 ? "no seed has finished in two variants yet: no differences"
                                     : "there is one variant: no differences");
        return true;
    }
    gnuplot_script p;
    reach x = reach_of(a, c);
    begin(&p, c, &x, lines);
    put_seeds(p.out, c);
    /* First, so that bars lie on top of dots. */
    fputs("$seeds using 1:2 with points pointtype 7 pointsize 0.5 linecolor rgb '#a0a0a0' title "
          "'single seeds'",
          gnuplot_item(&p));
    for (int kind = 0; kind < KINDS; kind++) {
        if (put_means(p.out, c, kind) == 0) continue;
        fprintf(gnuplot_item(&p),
                "$%s using %s pointsize 0.9 linewidth 1.8 linecolor rgb '%s' title '%s'",
                KIND[kind].name,
                /* One seed has a hollow mark and no bar. */
                kind == ONE_SEED ? "1:2 with points pointtype 4"
                                 : "1:2:3:4 with xerrorbars pointtype 5",
                KIND[kind].colour, KIND[kind].title);
    }
    return gnuplot_run(r, &p, e);
}
