#include "results/plot/plot_differences.h"

#include <math.h>
#include <string.h>

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

/* Of all that is drawn. With 0, where the baseline's line is. */
static double range_of(const comparison *c)
{
    double low = 0, high = 0;
    for (int i = 0; i < c->count; i++) {
        if (!drawn(c, i)) continue;
        estimate d = c->variants[i].difference;
        double half = isfinite(d.half) ? d.half : 0;
        low = fmin(low, d.mean - half);
        high = fmax(high, d.mean + half);
    }
    return high - low;
}

/* Width and height follow from names and rows, so that a plot of thirty variants is as legible as
 * one of three; margins are fixed in pixels, as gnuplot guesses the widths of names badly. */
static void begin(gnuplot_script *p, const comparison *c, int lines)
{
    char title[768], text[512], base[300], question[400];
    /* Names on the left, the plot in the middle, the key on the right: none may take room from
     * another. */
    double names = plot_series_names(c) + 20;
    int width = (int)names + PLOT_WIDTH + 140;
    gnuplot_begin(p, "differences", width, 170 + 42 * lines,
                  "Bar: mean and 95 % t-interval of the difference, paired by seed (none "
                  "for n = 1). Dots: single seeds. Colours: after Holm's correction.");
    plot_text_cut(base, sizeof base, c->variants[c->baseline].label, PLOT_NAME, PLOT_LETTERS);
    snprintf(question, sizeof question, "what is better or worse than '%s', and how surely?", base);
    plot_series_title(title, c, question, false);
    gnuplot_title(p, title);
    snprintf(text, sizeof text, "difference to '%s' (%s, lower is better)", base,
             compare_metric_title(c->metric));
    gnuplot_set(p->out, "xlabel", text);
    fprintf(p->out,
            "set border 1\nset grid xtics noytics\nset xtics %g\n"
            "set yrange [%d.5:0.5]\nset offsets graph 0.04, graph 0.04, 0, 0\n"
            "set arrow 1 from 0, graph 0 to 0, graph 1 nohead back linecolor rgb '#404040' "
            "dashtype 2\n"
            "set lmargin at screen %.4f\nset rmargin at screen %.4f\n"
            "set key at screen %.4f, graph 1 left top Left reverse samplen 1.5 spacing 1.2 maxcols "
            "1 width -100\n",
            plot_series_step(range_of(c), 5), lines, names / width, (names + PLOT_WIDTH) / width,
            (names + PLOT_WIDTH + 10) / width);
    put_names(p->out, c);
}

/* Dots, then bars by kind: each kind is one item, in one colour and with one name in the key. */
bool plot_differences(plot_report *r, arena *a, store *s, const comparison *c, err *e)
{
    int lines = 0;
    (void)a;
    (void)s;
    for (int i = 0; c->baseline >= 0 && i < c->count; i++) {
        lines += drawn(c, i);
    }
    /* Told, since the picture is expected: nearly every experiment has a baseline. */
    if (lines == 0) {
        gnuplot_note(r, "no seed has finished in two variants yet: no differences");
        return true;
    }
    gnuplot_script p;
    begin(&p, c, lines);
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
