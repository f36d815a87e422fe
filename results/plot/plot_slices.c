/* Where a gain lies: loss by position in the document, and the gain over the baseline against
 * position, the token's frequency and its repetition (as Clark et al. 2022, arXiv:2212.02475,
 * fig. 2). */
#include "results/plot/plot_slices.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "results/compare/compare_slices.h"
#include "results/table/table.h"

/* Slices of fewer tokens are not drawn: a few tokens' luck would hide the others. */
enum { LEAST_TOKENS = 100 };

static bool drawn(const slice_comparison *x, int k)
{
    return x->tokens[k] >= LEAST_TOKENS;
}

/* A line per variant over the slices: its mean and band. */
typedef struct slice_line {
    double *mean, *low, *high; /* [count]; NaN: nothing there */
    bool any;
    int n; /* seeds of the first slice */
} slice_line;

static slice_line line_of(arena *a, const slice_comparison *x, int variant, bool gain)
{
    slice_line l = {.mean = ARENA_NEW(a, double, x->count),
                    .low = ARENA_NEW(a, double, x->count),
                    .high = ARENA_NEW(a, double, x->count)};
    for (int k = 0; k < x->count; k++) {
        const compared_slice *s = compare_slices_at(x, variant, k);
        interval i = compare_slices_interval(s);
        l.mean[k] = gain ? -s->difference.mean : s->value.mean;
        l.low[k] = gain ? -i.high : s->least;
        l.high[k] = gain ? -i.low : s->most;
        if (!isfinite(l.mean[k])) continue;
        if (!drawn(x, k)) continue;
        l.any = true;
        l.n = MAX(l.n, gain ? s->difference.n : s->value.n);
    }
    return l;
}

/* From the means of slices that hold one token in a thousand, and of their bands what lies no
 * further off than half of that: a slice of few tokens would hide the others. */
static void choose_range(double range[2], const slice_comparison *x, const slice_line *lines,
                         bool gain, bool bands)
{
    double low = gain ? 0 : (double)INFINITY, high = gain ? 0 : -(double)INFINITY, all = 0;
    double band_low = (double)INFINITY, band_high = -(double)INFINITY;
    for (int k = 0; k < x->count; k++) {
        all += (double)x->tokens[k];
    }
    for (int i = 0; i < x->variants; i++) {
        for (int k = 0; lines[i].any && k < x->count; k++) {
            if (!drawn(x, k) || (double)x->tokens[k] < all / 1000 || !isfinite(lines[i].mean[k]))
                continue;
            low = fmin(low, lines[i].mean[k]);
            high = fmax(high, lines[i].mean[k]);
            band_low = fmin(band_low, bands ? lines[i].low[k] : low);
            band_high = fmax(band_high, bands ? lines[i].high[k] : high);
        }
    }
    double span = high > low ? high - low : 0.01;
    range[0] = fmin(low, fmax(band_low, low - span / 2)) - 0.05 * span;
    range[1] = fmax(high, fmin(band_high, high + span / 2)) + 0.05 * span;
}

/* The slices stand side by side; each is named by where it begins. */
static void put_axis(gnuplot_script *p, const slice_comparison *x)
{
    int first = x->count, last = -1;
    for (int k = x->count - 1; k >= 0; k--) {
        if (drawn(x, k)) first = k;
        if (drawn(x, k) && last < 0) last = k;
    }
    int every = (last - first + 14) / 14;
    fputs("\nset xtics noenhanced (", p->out);
    for (int k = first; k <= last; k += every) {
        char text[24];
        if (x->low[k] < 10000) {
            snprintf(text, sizeof text, "%d", (int)x->low[k]);
        } else {
            table_si(text, (double)x->low[k]);
        }
        fprintf(p->out, "%s'%s' %d", k > first ? ", " : "", text, k);
    }
    fprintf(p->out, ")\nset xrange [%.1f:%.1f]\n", first - 0.4, last + 0.4);
}

static void put_data(FILE *out, const slice_comparison *x, const slice_line *l, int variant)
{
    fprintf(out, "$slices%d << EOD\n# slice mean low high from tokens\n", variant);
    for (int k = 0; k < x->count; k++) {
        if (!drawn(x, k) || !isfinite(l->mean[k])) continue;
        bool band = isfinite(l->low[k]) && isfinite(l->high[k]);
        fprintf(out, "%d %.9g %.9g %.9g %lld %lld\n", k, l->mean[k], band ? l->low[k] : l->mean[k],
                band ? l->high[k] : l->mean[k], (long long)x->low[k], (long long)x->tokens[k]);
    }
    fputs("EOD\n", out);
}

/* All bands, if wanted, then all lines. The caller frees the text. */
static char *plot_command(const comparison *c, const slice_line *lines, bool gain, bool bands)
{
    char *text = NULL;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);
    CHECK(out, "no memory for a command");
    fputs(gain ? "plot 0 linecolor rgb '#404040' dashtype 2 notitle" : "plot ", out);
    const char *comma = gain ? ", \\\n     " : "";
    for (int i = 0; bands && i < c->count; i++) {
        if (!lines[i].any) continue;
        fprintf(
            out,
            "%s$slices%d using 1:3:4 with filledcurves linecolor %d fillstyle transparent solid "
            "0.18 noborder notitle",
            comma, i, plot_series_colour(i));
        comma = ", \\\n     ";
    }
    for (int i = 0; i < c->count; i++) {
        if (!lines[i].any) continue;
        char title[320];
        snprintf(title, sizeof title, "%s (n = %d)", c->variants[i].label, lines[i].n);
        fprintf(out,
                "%s$slices%d using 1:2 with linespoints linecolor %d dashtype %d pointtype 7 "
                "pointsize 0.45 linewidth 1.6 title ",
                comma, i, plot_series_colour(i), plot_series_dashes(i));
        gnuplot_quote(out, title);
        comma = ", \\\n     ";
    }
    fclose(out);
    return text;
}

/* Room for the names beside the picture, which is to stay as wide as the words below it. */
static int width_for(const comparison *c, const slice_line *lines)
{
    enum { WIDTH = 760, LETTERS = 20, LETTER = 7 };
    int most = LETTERS;
    for (int i = 0; i < c->count; i++) {
        if (lines[i].any) most = MAX(most, (int)strlen(c->variants[i].label));
    }
    return WIDTH + (MIN(most, 80) - LETTERS) * LETTER;
}

static bool plot_lines(gnuplot_script *p, arena *a, const comparison *c, const slice_comparison *x,
                       const char *name, bool gain)
{
    slice_line *lines = arena_push_zero(a, c->count, sizeof *lines);
    int any = 0, oracles = 0;
    bool single = false;
    for (int i = 0; i < c->count; i++) {
        if (!x->known[i] || (gain && i == c->baseline)) continue;
        /* Next to what looks at the answer all others look the same. */
        if (*compare_oracle(c->variants[i].label)) {
            oracles++;
            continue;
        }
        lines[i] = line_of(a, x, i, gain);
        any += lines[i].any;
        single = single || lines[i].n == 1;
    }
    if (!any || x->count < 2) return false;
    bool bands = any <= PLOT_TELLABLE;
    static const char *const captions[] = {
        "Point: mean over n seeds. Band: lowest to highest seed. Slices of fewer than 100 tokens: "
        "not drawn.",
        "Point: mean over n seeds. Band: 95 % t-interval, paired by seed. Slices of fewer than 100 "
        "tokens: not drawn.",
        "Band: 95 % t-interval, paired by seed (n = 1: bootstrap over documents). Slices of fewer "
        "than 100 tokens: not drawn.",
        "Point: mean over n seeds; 95 % intervals: loci compare --by. Slices of fewer than 100 "
        "tokens: not drawn."};
    int caption = !bands ? 3 : gain ? 1 + single : 0;
    char text[512];
    snprintf(text, sizeof text, "%s%s", captions[caption], oracles ? " Oracles: not drawn." : "");
    gnuplot_begin(p, name, width_for(c, lines), MAX(440, 120 + 19 * c->count),
                  arena_strdup(a, text));
    double range[2];
    const char *bits = x->bytes ? "bits per byte" : "bits per token";
    plot_series_title(p->out, c);
    snprintf(text, sizeof text, "%s (from; each slice up to twice that)",
             compare_slices_by_title(x->by));
    fputs("set xlabel ", p->out);
    gnuplot_quote(p->out, text);
    if (gain) {
        snprintf(text, sizeof text, "gain over %s (%s)", c->variants[c->baseline].label, bits);
    } else {
        snprintf(text, sizeof text, "%s loss (%s)", c->split, bits);
    }
    fputs("\nset ylabel ", p->out);
    gnuplot_quote(p->out, text);
    put_axis(p, x);
    choose_range(range, x, lines, gain, bands);
    fprintf(p->out, "set yrange [%.6g:%.6g]\n", range[0], range[1]);
    fprintf(p->out, "set key outside right top Left reverse samplen %d spacing 1.2\n",
            plot_series_dashes(c->count - 1) > 1 ? 4 : 2);
    for (int i = 0; i < c->count; i++) {
        if (lines[i].any) put_data(p->out, x, &lines[i], i);
    }
    char *command = plot_command(c, lines, gain, bands);
    gnuplot_draw(p, command);
    free(command);
    return true;
}

bool plot_slices(plot_report *r, arena *a, store *s, const comparison *c, err *e)
{
    static const struct {
        const char *name;
        slice_by by;
        bool gain;
    } plots[] = {{"slices-position", BY_POSITION, false},
                 {"gain-position", BY_POSITION, true},
                 {"gain-frequency", BY_FREQUENCY, true},
                 {"gain-repetition", BY_REPETITION, true}};
    for (size_t i = 0; i < sizeof plots / sizeof *plots; i++) {
        gnuplot_script p = {0};
        slice_comparison *x = compare_slices(a, c, s, plots[i].by, e);
        if (!x) return false;
        if (x->count == 0) continue;
        if (plot_lines(&p, a, c, x, plots[i].name, plots[i].gain) && !gnuplot_run(r, &p, e)) {
            return false;
        }
    }
    return true;
}
