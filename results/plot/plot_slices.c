#include "results/plot/plot_slices.h"

#include <math.h>
#include <stdio.h>

#include "results/compare/compare_slices.h"
#include "results/plot/plot_dodge.h"
#include "results/plot/plot_text.h"
#include "results/table/table.h"

/* The slices stand side by side at equal distances, named by where they begin: each is twice as
 * wide as the one before, so this is a logarithmic axis with a place for 0. A gain is the baseline
 * minus the variant, so that more is better, and its interval is that of the table (over seeds; of
 * one seed over documents). */

/* Slices of fewer tokens are not drawn: a few tokens' luck would hide the others. */
enum { LEAST_TOKENS = 100 };

/* The same for points, for the ends of the axis and for its names. */
static bool drawn(const slice_comparison *x, int k)
{
    return x->tokens[k] >= LEAST_TOKENS;
}

/* A variant over the slices, by their index. Turned round for a gain: the interval's high end is
 * the gain's low one. `more` keeps bounds and tokens in the script's data, for who works on from
 * there. */
static plot_series series_of(arena *a, const comparison *c, const slice_comparison *x, int variant,
                             bool gain)
{
    plot_series l = {.label = c->variants[variant].label,
                     .look = c->variants[variant].look,
                     .point = ARENA_NEW(a, plot_point, x->count)};
    for (int k = 0; k < x->count; k++) {
        const compared_slice *s = compare_slices_at(x, variant, k);
        interval i = compare_slices_interval(s);
        plot_point p = {.x = k,
                        .mean = gain ? -s->difference.mean : s->value.mean,
                        .low = gain ? -i.high : s->least,
                        .high = gain ? -i.low : s->most,
                        .n = gain ? s->difference.n : s->value.n};
        if (!isfinite(p.mean) || !drawn(x, k)) continue;
        /* No interval, no band. */
        if (!isfinite(p.low) || !isfinite(p.high)) p.low = p.high = p.mean;
        char *more = arena_push(a, 48, 1);
        snprintf(more, 48, "%lld %lld", (long long)x->low[k], (long long)x->tokens[k]);
        p.more = more;
        l.point[l.count++] = p;
    }
    return l;
}

/* From the means of slices that hold one token in a thousand, and of their bands what lies no
 * further off than half of that: a slice of few tokens would hide the others. Gains have 0 in the
 * picture, losses need not. */
static void choose_range(double range[2], const slice_comparison *x, const plot_series *lines,
                         bool gain, bool bands)
{
    double low = gain ? 0 : (double)INFINITY, high = gain ? 0 : -(double)INFINITY, all = 0;
    double band_low = (double)INFINITY, band_high = -(double)INFINITY;
    for (int k = 0; k < x->count; k++) {
        all += (double)x->tokens[k];
    }
    for (int i = 0; i < x->variants; i++) {
        for (int k = 0; k < lines[i].count; k++) {
            const plot_point *p = &lines[i].point[k];
            /* p->x is the slice's index. */
            if ((double)x->tokens[(int)p->x] < all / 1000) continue;
            low = fmin(low, p->mean);
            high = fmax(high, p->mean);
            band_low = fmin(band_low, bands ? p->low : low);
            band_high = fmax(band_high, bands ? p->high : high);
        }
    }
    plot_dodge_range(range, low, high, band_low, band_high);
}

/* The slices stand side by side; each is named by where it begins. Ends at the outer slices that
 * are drawn, and at most about fourteen names between them. */
static void put_axis(gnuplot_script *p, const slice_comparison *x)
{
    int first = x->count, last = -1;
    for (int k = x->count - 1; k >= 0; k--) {
        if (drawn(x, k)) first = k;
        if (drawn(x, k) && last < 0) last = k;
    }
    int every = (last - first + 14) / 14;
    fputs("set xtics noenhanced (", p->out);
    for (int k = first; k <= last; k += every) {
        char text[24];
        /* Positions of long documents: 16k rather than 16384, as tics stand close. */
        if (x->low[k] < 10000) {
            snprintf(text, sizeof text, "%d", (int)x->low[k]);
        } else {
            table_si(text, (double)x->low[k]);
        }
        fputs(k > first ? ", " : "", p->out);
        gnuplot_tic(p->out, text, k);
    }
    fprintf(p->out, ")\nset xrange [%.1f:%.1f]\n", first - 0.4, last + 0.4);
}

/* Lines [variants] to draw; how many in *count. Next to what looks at the answer all others look
 * the same: *oracles is how many are left out for that. By the variant's index, with empty lines
 * between: plot_series_draw leaves those out, and colours stay. */
static plot_series *lines_of(arena *a, const comparison *c, const slice_comparison *x, bool gain,
                             int *count, int *oracles)
{
    plot_series *lines = arena_push_zero(a, c->count, sizeof *lines);
    *count = *oracles = 0;
    for (int i = 0; i < c->count; i++) {
        if (!x->known[i] || (gain && i == c->baseline)) continue;
        if (*compare_oracle(c->variants[i].label)) {
            ++*oracles;
            continue;
        }
        lines[i] = series_of(a, c, x, i, gain);
        *count += lines[i].count > 0;
    }
    return lines;
}

/* How far seeds are apart is drawn as bands, of more lines as bars, of still more not at all. */
typedef enum plot_spread { SPREAD_NONE, SPREAD_BARS, SPREAD_BANDS } plot_spread;

/* One seed anywhere is enough to say what its band is. */
static void put_caption(char text[320], const comparison *c, const plot_series *lines, bool gain,
                        plot_spread spread, bool cut)
{
    const char *of = "lowest to highest seed";
    if (spread == SPREAD_NONE) {
        snprintf(text, 320, "Point: mean over n seeds; 95 %% intervals: loci compare --by.");
        return;
    }
    if (gain) of = "95 % t-interval, paired by seed";
    for (int i = 0; gain && i < c->count; i++) {
        for (int k = 0; k < lines[i].count; k++) {
            if (lines[i].point[k].n > 1) continue;
            of = "95 % t-interval, paired by seed (n = 1: bootstrap over documents)";
        }
    }
    snprintf(text, 320, "Point: mean over n seeds. %s: %s%s%s.",
             spread == SPREAD_BARS ? "Bar" : "Band", of,
             spread == SPREAD_BARS ? "; those of one slice beside each other" : "",
             cut ? PLOT_LONG : "");
}

static bool draw_lines(plot_report *r, arena *a, const comparison *c, const slice_comparison *x,
                       const char *name, const char *question, bool gain, err *e)
{
    int count, oracles;
    plot_series *lines = lines_of(a, c, x, gain, &count, &oracles);
    /* More would hide each other; the caption then says where the intervals are. */
    plot_spread spread = count == 1               ? SPREAD_BANDS
                         : count <= PLOT_TELLABLE ? SPREAD_BARS
                                                  : SPREAD_NONE;
    char spreads[320], caption[512], x_title[128], y_title[400];
    const char *bits = x->bytes ? "bits per byte" : "bits per token";
    double range[2];
    gnuplot_script p;
    /* One slice is no course. */
    if (count == 0 || x->count < 2 || plot_series_flat(lines, c->count)) return true;
    choose_range(range, x, lines, gain, spread != SPREAD_NONE);
    put_caption(spreads, c, lines, gain, spread, plot_dodge_leaves(range, lines, c->count));
    snprintf(caption, sizeof caption, "%s Slices of fewer than %d tokens: not drawn.%s", spreads,
             LEAST_TOKENS, oracles ? " Oracles: not drawn." : "");
    /* Said on the axis, as the distances between tics are not those between numbers. */
    snprintf(x_title, sizeof x_title, "%s (from; each slice up to twice that)",
             compare_slices_by_title(x->by));
    if (gain) {
        char base[300];
        plot_text_cut(base, sizeof base, c->variants[c->baseline].label, PLOT_NAME, PLOT_LETTERS);
        snprintf(y_title, sizeof y_title, "gain over %s (%s)", base, bits);
    } else {
        snprintf(y_title, sizeof y_title, "%s loss (%s)", c->split, bits);
    }
    plot_series_begin(&p, c,
                      &(plot_frame){.name = name,
                                    .caption = caption,
                                    .question = question,
                                    .x = x_title,
                                    .y = y_title,
                                    .lines = c->count});
    put_axis(&p, x);
    fprintf(p.out, "set yrange [%.6g:%.6g]\n", range[0], range[1]);
    /* The baseline: above the line something is gained. */
    if (gain) fputs("0 linecolor rgb '#404040' dashtype 2 notitle", gnuplot_item(&p));
    if (spread == SPREAD_BARS) plot_dodge(lines, c->count, false);
    plot_series_draw(&p, lines, c->count, spread == SPREAD_BARS ? PLOT_MARKED_BARS : PLOT_MARKED,
                     spread == SPREAD_BANDS, range);
    return gnuplot_run(r, &p, e);
}

typedef struct slice_plot {
    const char *name, *question;
    slice_by by;
    bool gain;
} slice_plot;

static bool draw_plots(plot_report *r, arena *a, store *s, const comparison *c,
                       const slice_plot *plots, int count, err *e)
{
    const slice_comparison *x = NULL;
    for (int i = 0; i < count; i++) {
        /* Neighbours in the list share their slices: positions are read once for two pictures. */
        if (!x || x->by != plots[i].by) x = compare_slices(a, c, s, plots[i].by, e);
        if (!x) return false;
        /* Nothing recorded of this kind: no picture. */
        if (x->count > 0 &&
            !draw_lines(r, a, c, x, plots[i].name, plots[i].question, plots[i].gain, e))
            return false;
    }
    return true;
}

bool plot_slices(plot_report *r, arena *a, store *s, const comparison *c, err *e)
{
    /* Kinds of the same slices stand together, see draw_plots. */
    static const slice_plot plots[] = {
        {"slices-position", "where in a document is text hard?", BY_POSITION, false},
        {"gain-position", "where in a document are gains made?", BY_POSITION, true},
        {"gain-frequency", "are gains made with rare or with frequent tokens?", BY_FREQUENCY, true},
        {"gain-repetition", "are gains made with what the document had before?", BY_REPETITION,
         true}};
    return draw_plots(r, a, s, c, plots, 4, e);
}

bool plot_slices_block(plot_report *r, arena *a, store *s, const comparison *c, err *e)
{
    static const slice_plot plot = {"gain-block", "where in a block are gains made?", BY_BLOCK,
                                    true};
    return draw_plots(r, a, s, c, &plot, 1, e);
}
