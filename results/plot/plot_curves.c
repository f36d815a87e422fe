/* Loss against tokens or time: mean over seeds, and a band from the lowest to the highest seed (an
 * interval of two or three noisy training losses would be mostly noise itself). */
#include "results/plot/plot_curves.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "results/compare/compare_print.h"
#include "results/store/query.h"

/* Curves are drawn with at most so many points; more logged steps are averaged in bins. */
enum { POINTS = 200 };

/* One bin of a variant's curve. */
typedef struct curve_point {
    double x, mean, low, high; /* over seeds */
    int n;
} curve_point;

typedef struct curve {
    int count, least, most; /* points; seeds behind a point */
    curve_point point[POINTS];
} curve;

/* Sums of one run in one bin. */
typedef struct bin {
    double x, loss;
    int n;
} bin;

static const char LOSSES[] = "SELECT p.seed, s.step, s.tokens, s.seconds, m.value FROM plan p "
                             "JOIN metric m ON m.run = p.run AND m.name = 'loss' AND m.layer = '' "
                             "JOIN step s ON s.run = m.run AND s.step = m.step "
                             "WHERE p.experiment = ?1 AND p.label = ?2 ORDER BY p.position, s.step";

/* The largest step that any run of the experiment has logged; 0: none. */
static bool last_step(int64_t *last, store *s, const char *experiment, err *e)
{
    query q = QUERY(s, e,
                    "SELECT max(s.step) AS last FROM plan p JOIN step s USING (run) "
                    "WHERE p.experiment = ?1",
                    experiment);
    *last = query_next(&q) ? query_int(&q, "last", 0) : 0;
    return query_close(&q);
}

static int seed_index(const compared_variant *v, int64_t seed)
{
    for (int i = 0; i < v->run_count; i++) {
        if (v->runs[i].seed == seed) return i;
    }
    return -1;
}

/* Fills bins [runs, POINTS]. */
static bool read_bins(bin *bins, store *s, const comparison *c, const compared_variant *v,
                      int64_t width, bool against_time, err *e)
{
    query q = QUERY(s, e, LOSSES, c->experiment, v->plan_label);
    while (query_next(&q)) {
        int run = seed_index(v, query_int(&q, "seed", 0));
        int64_t at = (query_int(&q, "step", 1) - 1) / width;
        double x = query_real(&q, against_time ? "seconds" : "tokens");
        double loss = query_real(&q, "value");
        if (run < 0 || at < 0 || at >= POINTS || !isfinite(loss) || !isfinite(x)) continue;
        bin *b = &bins[(int64_t)run * POINTS + at];
        b->x += x;
        b->loss += loss;
        b->n++;
    }
    return query_close(&q);
}

/* Seeds meet in a bin of steps; against time, x is their mean time there. */
static void fold_bins(curve *k, const bin *bins, int runs, double x_unit, double y_unit)
{
    *k = (curve){.least = runs};
    for (int i = 0; i < POINTS; i++) {
        curve_point p = {.low = (double)INFINITY, .high = -(double)INFINITY};
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
        k->least = MIN(k->least, p.n);
        k->most = MAX(k->most, p.n);
    }
}

/* ---- axes ---- */

/* What is worth seeing: from the lowest loss to where curves are after a fifth of their way, but
 * not beyond twice the lowest (a run that diverges would hide the rest), unless that is the best of
 * some curve: every curve shows. */
static void choose_range(double range[2], double *x_end, const curve *curves, int count)
{
    double low = (double)INFINITY, high = -(double)INFINITY, worst = -(double)INFINITY;
    *x_end = 0;
    for (int i = 0; i < count; i++) {
        const curve *k = &curves[i];
        if (k->count == 0) continue;
        double best = (double)INFINITY;
        for (int j = 0; j < k->count; j++) {
            best = fmin(best, k->point[j].mean);
        }
        low = fmin(low, best);
        worst = fmax(worst, best);
        high = fmax(high, k->point[k->count / 5].mean);
        *x_end = fmax(*x_end, k->point[k->count - 1].x);
    }
    high = fmin(high, fmax(2 * low, worst + 0.1 * (worst - low)));
    if (!(high > low)) high = low + fmax(fabs(low), 1) * 0.1;
    double margin = 0.06 * (high - low);
    range[0] = low - margin;
    range[1] = high + margin;
}

/* ---- the script ---- */

static void put_data(FILE *out, const curve *k, int series)
{
    fprintf(out, "$curve%d << EOD\n# x mean low high n\n", series);
    for (int i = 0; i < k->count; i++) {
        const curve_point *p = &k->point[i];
        fprintf(out, "%.9g %.9g %.9g %.9g %d\n", p->x, p->mean, p->low, p->high, p->n);
    }
    fputs("EOD\n", out);
}

static void put_title(FILE *out, const compared_variant *v, const curve *k)
{
    char title[320];
    if (k->least == k->most) {
        snprintf(title, sizeof title, "%s (n = %d)", v->label, k->most);
    } else {
        snprintf(title, sizeof title, "%s (n = %d to %d)", v->label, k->least, k->most);
    }
    gnuplot_quote(out, title);
}

/* All bands, if they can be told apart, then all lines. The caller frees the text. */
static char *plot_command(const comparison *c, const curve *curves)
{
    char *text = NULL;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);
    CHECK(out, "no memory for a command");
    const char *comma = "plot ";
    for (int i = 0; c->count <= PLOT_TELLABLE && i < c->count; i++) {
        if (curves[i].most < 2) continue;
        fprintf(out,
                "%s$curve%d using 1:3:4 with filledcurves linecolor %d fillstyle transparent solid "
                "0.18 noborder notitle",
                comma, i, plot_series_colour(i));
        comma = ", \\\n     ";
    }
    for (int i = 0; i < c->count; i++) {
        if (curves[i].count == 0) continue;
        /* A single point makes no line. */
        fprintf(out, "%s$curve%d using 1:2 with %s linecolor %d dashtype %d linewidth 1.6 title ",
                comma, i, curves[i].count > 1 ? "lines" : "points pointtype 7",
                plot_series_colour(i), plot_series_dashes(i));
        put_title(out, &c->variants[i], &curves[i]);
        comma = ", \\\n     ";
    }
    fclose(out);
    return text;
}

/* ---- panels ---- */

enum { PANEL_WIDTH = 250, PANEL_HEIGHT = 190 };

typedef struct panels {
    int count, columns, rows;
} panels;

static panels panels_for(const curve *curves, int variants)
{
    panels g = {0};
    for (int i = 0; i < variants; i++) {
        g.count += curves[i].count > 1;
    }
    g.columns = g.count > 9 ? 4 : 3;
    g.rows = (g.count + g.columns - 1) / g.columns;
    return g;
}

/* One panel: the variant in colour, the baseline dashed, all others in grey behind. */
static void put_panel(FILE *out, const comparison *c, const curve *curves, int own)
{
    const char *comma = "plot ";
    for (int i = 0; i < c->count; i++) {
        if (i == own || i == c->baseline || curves[i].count < 2) continue;
        fprintf(out, "%s$curve%d using 1:2 with lines linecolor rgb '#d8d8d8' linewidth 1 notitle",
                comma, i);
        comma = ", \\\n     ";
    }
    if (c->baseline >= 0 && curves[c->baseline].count > 1) {
        fprintf(out,
                "%s$curve%d using 1:2 with lines linecolor rgb '#404040' dashtype 2 linewidth 1 "
                "notitle",
                comma, c->baseline);
        comma = ", \\\n     ";
    }
    if (curves[own].most > 1) {
        fprintf(out,
                "%s$curve%d using 1:3:4 with filledcurves linecolor 3 fillstyle transparent solid "
                "0.25 noborder notitle",
                comma, own);
        comma = ", \\\n     ";
    }
    fprintf(out, "%s$curve%d using 1:2 with lines linecolor 3 linewidth 1.8 notitle\n", comma, own);
}

/* Labels stand at the outer panels only; the panels' places leave room for them. */
static char *panels_command(const gnuplot_script *p, const comparison *c, const curve *curves,
                            panels g, const char *x_title, const char *y_title)
{
    char *text = NULL, title[512];
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);
    CHECK(out, "no memory for a command");
    gnuplot_caption(out, p->caption);
    fprintf(out, "set multiplot layout %d,%d margins %.4f,0.985,%.4f,%.4f spacing 0.03,%.4f title ",
            g.rows, g.columns, 72.0 / p->width, 78.0 / p->height, 1 - 62.0 / p->height,
            42.0 / p->height);
    compare_print_title(title, c);
    gnuplot_quote(out, title);
    fputs("\nunset key\n", out);
    int panel = 0;
    for (int i = 0; i < c->count; i++) {
        if (curves[i].count < 2) continue;
        bool left = panel % g.columns == 0, low = panel + g.columns >= g.count;
        fputs("set title ", out);
        put_title(out, &c->variants[i], &curves[i]);
        fputs(" offset 0,-0.6\nset ylabel ", out);
        gnuplot_quote(out, left ? y_title : "");
        fputs("\nset xlabel ", out);
        gnuplot_quote(out, low ? x_title : "");
        fprintf(out, "\nset format y '%s'\nset format x '%s'\n", left ? "%g" : "", low ? "%g" : "");
        put_panel(out, c, curves, i);
        if (panel++ == 0) fputs("unset label 1\n", out);
    }
    fputs("unset multiplot", out);
    fclose(out);
    return text;
}

static bool read_curves(curve *curves, plot_unit *unit, arena *a, store *s, const comparison *c,
                        bool against_time, double y_unit, err *e)
{
    int64_t last;
    if (!last_step(&last, s, c->experiment, e)) return false;
    int64_t width = MAX((last + POINTS - 1) / POINTS, 1);
    bin **bins = ARENA_NEW(a, bin *, c->count);
    double most = 0;
    for (int i = 0; i < c->count; i++) {
        const compared_variant *v = &c->variants[i];
        bins[i] = arena_push_zero(a, (int64_t)v->run_count * POINTS, sizeof(bin));
        if (!read_bins(bins[i], s, c, v, width, against_time, e)) return false;
        for (int k = 0; k < v->run_count * POINTS; k++) {
            if (bins[i][k].n > 0) most = fmax(most, bins[i][k].x / bins[i][k].n);
        }
    }
    *unit = plot_series_unit(most, against_time);
    for (int i = 0; i < c->count; i++) {
        fold_bins(&curves[i], bins[i], c->variants[i].run_count, unit->size, y_unit);
    }
    return true;
}

static void draw_together(gnuplot_script *p, const comparison *c, const curve *curves,
                          const char *name)
{
    gnuplot_begin(p, name, 760, MAX(440, 120 + 19 * c->count),
                  c->count <= PLOT_TELLABLE
                      ? "Line: mean over n seeds. Band: from the lowest to the highest seed."
                      : "Line: mean over n seeds. The seeds' spread: in the panels.");
    plot_series_title(p->out, c);
    /* Dashes need some length to be told apart. */
    fprintf(p->out, "set key outside right top Left reverse samplen %d spacing 1.2\n",
            plot_series_dashes(c->count - 1) > 1 ? 4 : 2);
    for (int i = 0; i < c->count; i++) {
        if (curves[i].count > 0) put_data(p->out, &curves[i], i);
    }
}

static void draw_panels(gnuplot_script *p, const comparison *c, const curve *curves, panels g,
                        const char *name)
{
    gnuplot_begin(p, name, 60 + PANEL_WIDTH * g.columns, 120 + PANEL_HEIGHT * g.rows,
                  "Blue: mean over n seeds, band from the lowest to the highest. Dashed: the "
                  "baseline. Grey: the other variants.");
    for (int i = 0; i < c->count; i++) {
        if (curves[i].count > 1) put_data(p->out, &curves[i], i);
    }
}

bool plot_curves(gnuplot_script *p, arena *a, store *s, const comparison *c, bool against_time,
                 bool facets, err *e)
{
    bool bits = compare_by_bytes(c);
    curve *curves = arena_push_zero(a, c->count, sizeof *curves);
    plot_unit unit;
    if (facets && c->count <= PLOT_TELLABLE) return false;
    if (!read_curves(curves, &unit, a, s, c, against_time, bits ? 1 / log(2.0) : 1, e)) {
        return false;
    }
    panels g = panels_for(curves, c->count);
    int points = 0;
    for (int i = 0; i < c->count; i++) {
        points += curves[i].count;
    }
    if (points == 0 || (facets && g.count <= PLOT_TELLABLE)) return false;
    static const char *const names[] = {"loss-tokens", "loss-time", "loss-tokens-facets",
                                        "loss-time-facets"};
    const char *name = names[against_time + 2 * facets];
    const char *y_title = bits ? "training loss (bits per byte)" : "training loss (nats per token)";
    double range[2], x_end;
    choose_range(range, &x_end, curves, c->count);
    if (facets) {
        draw_panels(p, c, curves, g, name);
    } else {
        draw_together(p, c, curves, name);
    }
    fputs("set xlabel ", p->out);
    gnuplot_quote(p->out, unit.name);
    fputs("\nset ylabel ", p->out);
    gnuplot_quote(p->out, y_title);
    fputc('\n', p->out);
    fprintf(p->out, "set yrange [%.6g:%.6g]\nset xrange [0:%.6g]\n", range[0], range[1],
            x_end > 0 ? x_end : 1);
    char *command =
        facets ? panels_command(p, c, curves, g, unit.name, y_title) : plot_command(c, curves);
    gnuplot_draw(p, command);
    free(command);
    return true;
}
