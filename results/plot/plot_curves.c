#include "results/plot/plot_curves.h"

#include <math.h>

#include "results/plot/plot_decades.h"
#include "results/plot/plot_text.h"
#include "results/store/query.h"

/* Training losses are noisy and many: thousands of steps for each of tens of runs. Steps are
 * averaged in at most 200 bins, first within each run, then over seeds bin by bin, so that line and
 * band are of the same steps of all seeds. Averaging before the extremes are taken makes the band
 * say how seeds differ, not how batches do.
 *
 * Against time, bins are bins of steps all the same, and x is the mean time at which seeds were
 * there: bins of seconds would mix what one seed saw early with what a slower one saw late. */

/* Curves are drawn with at most so many points; more logged steps are averaged in bins. */
enum { POINTS = 200 };

/* Sums of one run in one bin. */
typedef struct bin {
    double x, loss;
    int n;
} bin;

/* metric's key (run, name, layer, step) makes a run's curve one range, and step's key finds each
 * row's tokens. One question for each variant: its seeds come run by run, step by step. */
static const char LOSSES[] = "SELECT p.seed, s.step, s.tokens, s.seconds, m.value FROM plan p "
                             "JOIN metric m ON m.run = p.run AND m.name = 'loss' AND m.layer = '' "
                             "JOIN step s ON s.run = m.run AND s.step = m.step "
                             "WHERE p.experiment = ?1 AND p.label = ?2 ORDER BY p.position, s.step";

/* The largest step that any run of the variant has logged; 0: none. Not of all variants: of equal
 * tokens one with batches a hundred times as large takes a hundredth of the steps, which would all
 * fall into two bins. step's key ends with the step. */
static bool last_step(int64_t *last, store *s, const char *experiment, const char *label, err *e)
{
    query q = QUERY(s, e,
                    "SELECT max(s.step) AS last FROM plan p JOIN step s USING (run) "
                    "WHERE p.experiment = ?1 AND p.label = ?2",
                    experiment, label);
    *last = query_next(&q) ? query_int(&q, "last", 0) : 0;
    return query_close(&q);
}

/* Fills bins [runs, POINTS]. Steps count from 1; the last bin may be short. */
static bool read_bins(bin *bins, store *s, const comparison *c, const compared_variant *v,
                      int64_t width, bool against_time, err *e)
{
    query q = QUERY(s, e, LOSSES, c->experiment, v->plan_label);
    while (query_next(&q)) {
        const compared_run *run = compare_run(v, query_int(&q, "seed", 0));
        int64_t step = query_int(&q, "step", 0), at = (MAX(step, 0) - 1) / width;
        double x = query_real(&q, against_time ? "seconds" : "tokens");
        double loss = query_real(&q, "value");
        /* A seed that the comparison does not have (a database that changed meanwhile) has no row
         * of bins. */
        if (!run || step < 1 || at >= POINTS || !isfinite(loss) || !isfinite(x)) continue;
        bin *b = &bins[(run - v->runs) * POINTS + at];
        b->x += x;
        b->loss += loss;
        b->n++;
    }
    return query_close(&q);
}

/* Seeds meet in a bin of steps; against time, x is their mean time there. Bins that no run has
 * reached make no point: a line ends where its variant ended. Where one seed ended earlier, n is
 * smaller from there on, and the key says "n = 2 to 3". */
static void fold_bins(plot_series *k, const bin *bins, int runs, double x_unit, double y_unit)
{
    for (int i = 0; i < POINTS; i++) {
        plot_point p = {.low = (double)INFINITY, .high = -(double)INFINITY};
        for (int r = 0; r < runs; r++) {
            const bin *b = &bins[(int64_t)r * POINTS + i];
            if (b->n == 0) continue;
            double loss = b->loss / b->n * y_unit;
            p.x += b->x / b->n / x_unit;
            p.mean += loss;
            p.low = fmin(p.low, loss);
            p.high = fmax(p.high, loss);
            p.n++;
        }
        if (p.n == 0) continue;
        p.x /= p.n;
        p.mean /= p.n;
        k->point[k->count++] = p;
    }
}

/* ---- axes ---- */

/* What is worth seeing: from the lowest loss to where curves are after a fifth of their way, but
 * not beyond twice the lowest (a run that diverges would hide the rest), unless that is the best of
 * some curve: every curve shows. Early losses are many times the last ones, and on an axis that
 * shows them all curves end in one line. True: where the bests are of different decades the axis
 * is logarithmic. */
static bool choose_range(double range[2], double *x_end, const plot_series *curves, int count)
{
    double low = (double)INFINITY, high = -(double)INFINITY, worst = -(double)INFINITY;
    *x_end = 0;
    for (int i = 0; i < count; i++) {
        const plot_series *k = &curves[i];
        if (k->count == 0) continue;
        double best = (double)INFINITY;
        for (int j = 0; j < k->count; j++) {
            best = fmin(best, k->point[j].mean);
        }
        low = fmin(low, best);
        /* The best of the worst curve must show, or the variant that failed would be absent from
         * the picture. */
        worst = fmax(worst, best);
        high = fmax(high, k->point[k->count / 5].mean);
        *x_end = fmax(*x_end, k->point[k->count - 1].x);
    }
    if (low > 0 && worst >= DECADE * low) {
        /* Those that diverged reach into any decade. */
        plot_point ends[] = {{.mean = low, .low = low, .high = low}, {.mean = 0}};
        ends[1].mean = ends[1].low = ends[1].high = fmax(worst, fmin(high, DECADE * worst));
        return plot_decades(range, &(plot_series){.count = 2, .point = ends}, 1);
    }
    /*   low  = the least of all lines' bests, worst = the largest of them
     *   high = min(where lines are after a fifth, max(2 low, worst + (worst - low) / 10)) */
    high = fmin(high, fmax(2 * low, worst + 0.1 * (worst - low)));
    /* All points equal: some room above, or the range would be empty. */
    if (!(high > low)) high = low + fmax(fabs(low), 1) * 0.1;
    /* So that the lowest line does not lie on the frame. */
    double margin = 0.06 * (high - low);
    range[0] = low - margin;
    range[1] = high + margin;
    return false;
}

/* ---- panels ---- */

/* Points of a line in a panel, and of one behind it, which is in all other panels, too: so the
 * picture does not grow with the square of its lines. */
enum { PANEL_WIDTH = 250, PANEL_HEIGHT = 190, IN_FRONT = 100, BEHIND = 16 };

typedef struct panels {
    int count, columns, rows;
} panels;

/* A curve of one point is no curve. Three columns for nine panels, four for more: the picture stays
 * wider than high for a page. */
static panels panels_for(const plot_series *curves, int variants)
{
    panels g = {0};
    for (int i = 0; i < variants; i++) {
        g.count += curves[i].count > 1;
    }
    g.columns = g.count > 9 ? 4 : 3;
    g.rows = (g.count + g.columns - 1) / g.columns;
    return g;
}

/* Every which point of the curve leaves `points` of it. Thinned by gnuplot when it draws, so that
 * data stand in the script once, in full, for all panels. */
static int every(const plot_series *curve, int points)
{
    return MAX((curve->count + points - 1) / points, 1);
}

/* One panel: the variant in colour, the baseline dashed, all others in grey behind. Grey first and
 * own curve last: what is drawn later lies on top. */
static void put_panel(gnuplot_script *p, const comparison *c, const plot_series *curves, int own)
{
    /* Each panel is a plot command of its own. */
    p->items = 0;
    for (int i = 0; i < c->count; i++) {
        if (i == own || i == c->baseline || curves[i].count < 2) continue;
        fprintf(gnuplot_item(p),
                "$series%d every %d using 1:2 with lines linecolor rgb '#d8d8d8' linewidth 1 "
                "notitle",
                i, every(&curves[i], BEHIND));
    }
    if (c->baseline >= 0 && curves[c->baseline].count > 1) {
        fprintf(
            gnuplot_item(p),
            "$series%d every %d using 1:2 with lines linecolor rgb '#404040' dashtype 2 linewidth "
            "1 notitle",
            c->baseline, every(&curves[c->baseline], IN_FRONT));
    }
    int thin = every(&curves[own], IN_FRONT);
    fprintf(gnuplot_item(p),
            "$series%d every %d using 1:3:4 with filledcurves linecolor 3 fillstyle transparent "
            "solid 0.25 noborder notitle",
            own, thin);
    fprintf(gnuplot_item(p),
            "$series%d every %d using 1:2 with lines linecolor 3 linewidth 1.8 notitle\n", own,
            thin);
}

/* Labels stand at the outer panels only; the panels' places leave room for them. All margins are
 * given as shares of the picture, from pixels: gnuplot would give each panel those that its own
 * labels need, and panels would be of different sizes. */
static void put_panels(gnuplot_script *p, const comparison *c, const plot_series *curves, panels g,
                       const plot_frame *f)
{
    FILE *out = p->plot;
    char title[768], wrapped[1024];
    plot_series_title(title, c, f->question, f->training);
    int lines = plot_text_wrap(wrapped, sizeof wrapped, title, p->width - 80, PLOT_LETTERS);
    /* Room for the tics and the label of the outer panels, in pixels, whatever the number of
     * panels. */
    double left_px = 72.0 / p->width, low_px = 78.0 / p->height;
    /* Again within the command, which is repeated for each format: its first panel takes the label
     * away. */
    gnuplot_caption(out, p);
    fprintf(out, "set multiplot layout %d,%d margins %.4f,0.985,%.4f,%.4f spacing 0.03,%.4f title ",
            g.rows, g.columns, left_px, low_px, 1 - (42.0 + 20 * lines) / p->height,
            42.0 / p->height);
    gnuplot_quote_lines(out, wrapped);
    fprintf(out, "\nunset key\nset label 2 ");
    gnuplot_quote(out, f->y);
    fprintf(out, " at screen %.4f,0.5 center rotate\nset label 3 ", 14.0 / p->width);
    gnuplot_quote(out, f->x);
    fprintf(out, " at screen 0.5,%.4f center\n", 36.0 / p->height);
    for (int i = 0, panel = 0; i < c->count; i++) {
        if (curves[i].count < 2) continue;
        bool left = panel % g.columns == 0, low = panel + g.columns >= g.count;
        plot_text_cut(title, sizeof title, curves[i].label, PANEL_WIDTH - 30, PLOT_SMALL);
        fputs("set title ", out);
        gnuplot_quote(out, title);
        fprintf(out, " offset 0,-0.6 font ',%d'\n", PLOT_SMALL);
        gnuplot_set(out, "format y", left ? "%g" : "");
        gnuplot_set(out, "format x", low ? "%g" : "");
        put_panel(p, c, curves, i);
        /* Labels of the whole page belong to the first panel only, or each would draw them over the
         * others. */
        if (panel++ == 0) fputs("unset label 1\nunset label 2\nunset label 3\n", out);
    }
    fputs("unset multiplot", out);
}

/* ---- pictures ---- */

/* Bins of all variants are read before the unit of x is known, which is the largest of them all. */
static bool read_curves(plot_series *curves, plot_unit *unit, arena *a, store *s,
                        const comparison *c, bool against_time, double y_unit, err *e)
{
    bin **bins = ARENA_NEW(a, bin *, c->count);
    double most = 0;
    for (int i = 0; i < c->count; i++) {
        const compared_variant *v = &c->variants[i];
        int64_t last;
        if (!last_step(&last, s, c->experiment, v->plan_label, e)) return false;
        /* Steps in a bin, rounded up, so that POINTS bins reach the last step. */
        int64_t width = MAX((last + POINTS - 1) / POINTS, 1);
        bins[i] = arena_push_zero(a, (int64_t)v->run_count * POINTS, sizeof(bin));
        if (!read_bins(bins[i], s, c, v, width, against_time, e)) return false;
        for (int k = 0; k < v->run_count * POINTS; k++) {
            if (bins[i][k].n > 0) most = fmax(most, bins[i][k].x / bins[i][k].n);
        }
    }
    *unit = plot_series_unit(most, against_time);
    for (int i = 0; i < c->count; i++) {
        curves[i] = (plot_series){.label = c->variants[i].label,
                                  .look = c->variants[i].look,
                                  .point = ARENA_NEW(a, plot_point, POINTS)};
        fold_bins(&curves[i], bins[i], c->variants[i].run_count, unit->size, y_unit);
    }
    return true;
}

/* `x_end` is the longest curve's end: gnuplot would round the axis up beyond it. */
static bool draw_curves(plot_report *r, const comparison *c, const plot_series *curves,
                        const plot_frame *f, bool facets, err *e)
{
    panels g = panels_for(curves, c->count);
    double range[2], x_end;
    gnuplot_script p;
    /* So few can be told apart in one picture. */
    if (facets && g.count <= PLOT_TELLABLE) return true;
    if (facets) {
        gnuplot_begin(&p, f->name, 60 + PANEL_WIDTH * g.columns, 120 + PANEL_HEIGHT * g.rows,
                      f->caption);
    } else {
        plot_series_begin(&p, c, f);
    }
    if (choose_range(range, &x_end, curves, c->count)) {
        plot_decades_axis(p.out, range);
    } else {
        fprintf(p.out, "set yrange [%.6g:%.6g]\n", range[0], range[1]);
    }
    fprintf(p.out, "set xrange [0:%.6g]\n", x_end > 0 ? x_end : 1);
    if (facets) fprintf(p.out, "set xtics %g\n", plot_series_step(x_end, 4));
    for (int i = 0; facets && i < c->count; i++) {
        if (curves[i].count > 1) plot_series_data(p.out, &curves[i], i);
    }
    if (facets) {
        put_panels(&p, c, curves, g, f);
    } else {
        plot_series_draw(&p, curves, c->count, PLOT_LINES, c->count <= PLOT_TELLABLE, NULL);
    }
    return gnuplot_run(r, &p, e);
}

bool plot_curves(plot_report *r, arena *a, store *s, const comparison *c, err *e)
{
    static const char *const names[] = {"loss-tokens", "loss-time", "loss-tokens-facets"};
    static const char *const questions[] = {
        "training loss: what learns most from the same text?",
        "training loss: what learns fastest by the clock?",
        "training loss: how does each learn beside the others?"};
    /* With many lines bands are left out, and the caption must not promise them. */
    const char *const captions[] = {
        plot_series_spreads(c->count, false),
        "Line: mean over n seeds. Their spread is in the panels.",
        ("Blue: mean over n seeds, band from the lowest to the highest. Dashed: the "
         "baseline. Grey: the other variants.")};
    bool bits = compare_by_bytes(c), many = c->count > PLOT_TELLABLE;
    plot_series *curves[2] = {ARENA_NEW(a, plot_series, c->count),
                              ARENA_NEW(a, plot_series, c->count)};
    plot_unit unit[2];
    int points = 0;
    /* Read twice, as x differs; the panels use the curves against tokens. */
    for (int time = 0; time < 2; time++) {
        if (!read_curves(curves[time], &unit[time], a, s, c, time, bits ? 1 / log(2.0) : 1, e)) {
            return false;
        }
    }
    for (int i = 0; i < c->count; i++) {
        points += curves[0][i].count;
    }
    /* A picture without a curve would look as if something had failed. */
    if (points == 0) gnuplot_note(r, "no run has logged a step yet: no loss curves");
    for (int i = 0; points > 0 && i < (many ? 3 : 2); i++) {
        int time = i % 2, facets = i / 2;
        plot_frame f = {.name = names[i],
                        .caption = captions[facets ? 2 : many],
                        .question = questions[i],
                        .training = true,
                        .x = unit[time].name,
                        .y = bits ? "training loss (bits per byte)"
                                  : "training loss (nats per token)",
                        .lines = c->count};
        if (!draw_curves(r, c, curves[time], &f, facets, e)) return false;
    }
    return true;
}
