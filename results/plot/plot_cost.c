#include "results/plot/plot_cost.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "results/plot/plot_decades.h"
#include "results/plot/plot_dodge.h"
#include "results/plot/plot_text.h"

/* Every quality is bought with something, and these pictures ask with what: one for each cost in
 * which the variants differ at all, the most telling first, as only some are drawn. A gain has its
 * own pair of pictures where models learned in evaluation, since there the cost is paid for each
 * token that is read, and what matters is how many times the baseline's it is. */

/* What says most of an experiment comes first: all may be too many. */
static const struct cost {
    const char *name, *axis, *question;
    bool logarithmic; /* where it spans decades */
    bool gain;        /* over the baseline, whose cost is 1; else final quality */
    /* `question` is what the picture's title asks; names are those of files. */
} COSTS[] = {{"gain-flops", "evaluation FLOPs per token, relative to the baseline",
              "what is gained by more computation in evaluation?", false, true},
             {"gain-time", "evaluation time per token, relative to the baseline",
              "what is gained by more time in evaluation?", false, true},
             {"cost-flops", "forward FLOPs per token", "what does quality take in computation?",
              true, false},
             {"cost-speed", "training speed (tokens/s)",
              "what does quality take in training speed?", true, false},
             {"cost-params", "parameters", "what does quality take in parameters?", true, false},
             {"cost-state", "carried state (bytes)", "what does quality take in carried state?",
              false, false},
             {"cost-active", "active parameters", "what does quality take in active parameters?",
              true, false}};

enum { COST_COUNT = sizeof COSTS / sizeof *COSTS };

/* NaN: unknown, or nothing to draw it at. A cost of 0 has no place on a logarithmic axis; carried
 * state has a straight one from 0, where a variant without any belongs. */
static double cost_of(const compared_variant *v, int cost)
{
    /* In the order of COSTS. */
    const double values[COST_COUNT] = {
        v->eval.flops,
        v->eval.seconds,
        v->flops,
        v->tokens_per_second,
        (double)v->params,
        (double)v->state_bytes,
        (double)v->active_params,
    };
    double x = values[cost];
    return x < 0 || (COSTS[cost].logarithmic && x <= 0) ? (double)NAN : x;
}

/* A point for each variant that has a figure and a cost. One point a series: marks and colours then
 * tell variants apart, and the key names them. */
static plot_series *points_of(arena *a, const comparison *c, int cost, double unit)
{
    plot_series *list = arena_push_zero(a, c->count, sizeof *list);
    for (int i = 0; i < c->count; i++) {
        const compared_variant *v = &c->variants[i];
        bool gain = COSTS[cost].gain;
        estimate e = gain ? v->difference : v->value[c->metric];
        double x = cost_of(v, cost) / unit, mean = gain ? -e.mean : e.mean;
        double half = isfinite(e.half) ? e.half : 0;
        if ((gain && i == c->baseline) || e.n == 0 || !isfinite(x)) continue;
        list[i] = (plot_series){
            .label = v->label, .look = v->look, .count = 1, .point = ARENA_NEW(a, plot_point, 1)};
        *list[i].point = (plot_point){x, mean, mean - half, mean + half, e.n, NULL};
    }
    return list;
}

/* A picture's points, and how far it reaches. */
typedef struct cost_points {
    plot_series *list;
    plot_reach reach;
    char caption[256];
} cost_points;

static cost_points read_points(arena *a, const comparison *c, int cost, double unit)
{
    bool gain = COSTS[cost].gain;
    cost_points x = {.list = points_of(a, c, cost, unit)};
    x.reach = plot_reach_of(x.list, c->count, gain);
    /* The baseline is a point of its own among gains. */
    if (gain) {
        double *range = x.reach.range, air = 0.05 * (range[1] - range[0]);
        range[0] = fmin(range[0], -air);
        range[1] = fmax(range[1], air);
    }
    snprintf(x.caption, sizeof x.caption,
             "%s. Bar: 95 %% t-interval (none for n = 1); those of one x beside each other%s.",
             gain ? "Gain: baseline minus variant, paired over n seeds"
                  : "Point: mean over n seeds",
             x.reach.cut ? PLOT_LONG : "");
    return x;
}

/* Bars of variants that cost the same beside each other. */
static void put_points(gnuplot_script *p, cost_points *x, int count, bool logarithmic)
{
    plot_dodge(x->list, count, logarithmic);
    plot_reach_axis(p->out, &x->reach);
    plot_series_draw(p, x->list, count, PLOT_BARS, false, NULL);
}

/* The baseline is at (1, 0) by definition and is drawn as a mark of its own, so that the eye has
 * where to start from. */
static bool draw_gain(plot_report *r, arena *a, const comparison *c, int cost, err *e)
{
    const compared_variant *base = &c->variants[c->baseline];
    cost_points points = read_points(a, c, cost, cost_of(base, cost));
    char y[128], name[320];
    gnuplot_script p;
    snprintf(y, sizeof y, "gain in %s (higher is better)", compare_metric_title(c->metric));
    plot_series_begin(&p, c,
                      &(plot_frame){.name = COSTS[cost].name,
                                    .caption = points.caption,
                                    .question = COSTS[cost].question,
                                    .x = COSTS[cost].axis,
                                    .y = y,
                                    .lines = c->count});
    fputs("set offsets graph 0.08, graph 0.08, graph 0.08, graph 0.08\n"
          "set xzeroaxis linewidth 1 linecolor 'grey40'\n"
          "$baseline << EOD\n1 0\nEOD\n",
          p.out);
    plot_text_cut(name, sizeof name - 16, base->label, PLOT_NAME - 60, PLOT_LETTERS);
    snprintf(name + strlen(name), 16, " (baseline)");
    fputs("$baseline using 1:2 with points linecolor 'black' pointtype 2 pointsize 1 linewidth 1.5 "
          "title ",
          gnuplot_item(&p));
    gnuplot_quote(p.plot, name);
    put_points(&p, &points, c->count, false);
    return gnuplot_run(r, &p, e);
}

/* The least and the largest cost of variants with a result; false if none has one. Of variants that
 * have a result: who failed paid for nothing that is shown. */
static bool range_of(double range[2], const comparison *c, int cost)
{
    range[0] = (double)INFINITY;
    range[1] = -(double)INFINITY;
    for (int i = 0; i < c->count; i++) {
        double x = cost_of(&c->variants[i], cost);
        if (c->variants[i].value[c->metric].n == 0 || !isfinite(x)) continue;
        range[0] = fmin(range[0], x);
        range[1] = fmax(range[1], x);
    }
    return range[0] <= range[1];
}

/* Points alone, no lines: between two variants there is no third. */
static bool draw_quality(plot_report *r, arena *a, const comparison *c, int cost,
                         const double range[2], err *e)
{
    static const plot_unit units[] = {
        {1e9, ", in billions"}, {1e6, ", in millions"}, {1e3, ", in thousands"}, {1, ""}};
    /* Decades are worth a logarithmic axis; below, it would have hardly a labelled tic. */
    bool logarithmic = COSTS[cost].logarithmic && range[1] >= 10 * range[0];
    int u = 0;
    /* A logarithmic axis has its prefixes in the tics ("%.0s%c"), so no unit. */
    while (u < 3 && (logarithmic || range[1] < 2 * units[u].size)) {
        u++;
    }
    cost_points points = read_points(a, c, cost, units[u].size);
    char x[128], y[128];
    gnuplot_script p;
    snprintf(x, sizeof x, "%s%s", COSTS[cost].axis, units[u].name);
    snprintf(y, sizeof y, "%s (lower is better)", compare_metric_title(c->metric));
    plot_series_begin(&p, c,
                      &(plot_frame){.name = COSTS[cost].name,
                                    .caption = points.caption,
                                    .question = COSTS[cost].question,
                                    .x = x,
                                    .y = y,
                                    .lines = c->count});
    fprintf(p.out,
            "%sset offsets graph 0.08, graph 0.08, graph 0.08, graph 0.08\nset format x '%s'\n%s",
            logarithmic ? "set logscale x\n" : "", logarithmic ? "%.0s%c" : "%g",
            COSTS[cost].logarithmic ? "" : "set xrange [*<0:*] noextend\n");
    put_points(&p, &points, c->count, logarithmic);
    return gnuplot_run(r, &p, e);
}

bool plot_cost(plot_report *r, arena *a, store *s, const comparison *c, err *e)
{
    (void)s;
    for (int i = 0; i < COST_COUNT; i++) {
        double range[2];
        if (COSTS[i].gain) {
            /* The baseline's cost is what all are divided by. */
            bool any = c->learning && c->baseline >= 0 && cost_of(&c->variants[c->baseline], i) > 0;
            if (any && !draw_gain(r, a, c, i, e)) return false;
            /* Costs that differ by less than a thousandth (a bias more) are one cost: points above
             * each other say nothing. */
        } else if (range_of(range, c, i) && range[1] - range[0] > 1e-3 * range[0]) {
            if (!draw_quality(r, a, c, i, range, e)) return false;
        }
    }
    return true;
}
