/* Final quality against what it costs. */
#include "results/plot/plot_cost.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name, *axis;
    bool logarithmic;
} COSTS[] = {{"cost-params", "parameters", true},
             {"cost-active", "active parameters", true},
             {"cost-flops", "forward FLOPs per token", true},
             {"cost-speed", "training speed (tokens/s)", true},
             {"cost-state", "carried state (bytes)", false}};

enum { COST_COUNT = sizeof COSTS / sizeof *COSTS };

static double cost_of(const compared_variant *v, int cost)
{
    const double values[] = {(double)v->params, (double)v->active_params, v->flops,
                             v->tokens_per_second, (double)v->state_bytes};
    double x = values[cost];
    return x < 0 || (COSTS[cost].logarithmic && x <= 0) ? (double)NAN : x;
}

typedef struct cost_axis {
    bool logarithmic;
    double unit; /* of a linear one */
    char title[64];
} cost_axis;

/* Decades are worth a logarithmic axis; below, it would have hardly a labelled tic. */
static cost_axis axis_of(const comparison *c, int cost)
{
    static const struct {
        double size;
        const char *name;
    } units[] = {{1e9, ", in billions"}, {1e6, ", in millions"}, {1e3, ", in thousands"}, {1, ""}};
    double least = (double)INFINITY, most = 0;
    for (int i = 0; i < c->count; i++) {
        double x = cost_of(&c->variants[i], cost);
        if (c->variants[i].value[c->metric].n == 0 || !isfinite(x)) continue;
        least = fmin(least, x);
        most = fmax(most, x);
    }
    cost_axis a = {.logarithmic = COSTS[cost].logarithmic && most >= 10 * least};
    int u = 0;
    while (u < 3 && (a.logarithmic || most < 2 * units[u].size)) {
        u++;
    }
    a.unit = units[u].size;
    snprintf(a.title, sizeof a.title, "%s%s", COSTS[cost].axis, units[u].name);
    return a;
}

/* True if the costs are not all the same: else there is nothing to see. */
static bool varies(const comparison *c, int cost)
{
    double first = (double)NAN;
    for (int i = 0; i < c->count; i++) {
        double x = cost_of(&c->variants[i], cost);
        if (c->variants[i].value[c->metric].n == 0 || !isfinite(x)) continue;
        if (isfinite(first) && fabs(x - first) > 1e-3 * fabs(first)) return true;
        if (!isfinite(first)) first = x;
    }
    return false;
}

static bool draw_cost(gnuplot_script *p, const comparison *c, int cost)
{
    if (!varies(c, cost)) return false;
    gnuplot_begin(p, COSTS[cost].name, 760, MAX(440, 120 + 19 * c->count),
                  "Point: mean over n seeds. Bar: 95 % t-interval (none for n = 1).");
    cost_axis axis = axis_of(c, cost);
    plot_series_axes(p, c, axis.title, axis.logarithmic);
    fprintf(p->out, "set format x '%s'\n", axis.logarithmic ? "%.0s%c" : "%g");
    if (!COSTS[cost].logarithmic) fputs("set xrange [0:*]\n", p->out);
    char *command = NULL;
    size_t bytes;
    FILE *f = open_memstream(&command, &bytes);
    CHECK(f, "no memory for a command");
    const char *comma = "plot ";
    for (int i = 0; i < c->count; i++) {
        const compared_variant *v = &c->variants[i];
        estimate e = v->value[c->metric];
        double x = cost_of(v, cost), half = isfinite(e.half) ? e.half : 0;
        if (e.n == 0 || !isfinite(x)) continue;
        fprintf(p->out, "$variant%d << EOD\n%.9g %.9g %.9g %.9g %d\nEOD\n", i, x, e.mean,
                e.mean - half, e.mean + half, e.n);
        fprintf(
            f,
            "%s$variant%d using ($1/%g):2:3:4 with yerrorbars linecolor %d pointtype %d pointsize "
            "1 linewidth 1.5 title ",
            comma, i, axis.unit, plot_series_colour(i), 4 + plot_series_dashes(i));
        char title[320];
        snprintf(title, sizeof title, "%s (n = %d)", v->label, e.n);
        gnuplot_quote(f, title);
        comma = ", \\\n     ";
    }
    fclose(f);
    gnuplot_draw(p, command);
    free(command);
    return true;
}

bool plot_cost(plot_report *r, const comparison *c, err *e)
{
    for (int i = 0; i < COST_COUNT; i++) {
        gnuplot_script p = {0};
        if (draw_cost(&p, c, i) && !gnuplot_run(r, &p, e)) return false;
    }
    return true;
}
