/* What models gain by learning while they read, against what their evaluation costs. */
#include "results/plot/plot_gain.h"

#include <math.h>
#include <stdlib.h>

static const struct {
    const char *name, *axis;
} COSTS[] = {{"gain-flops", "evaluation FLOPs per token, relative to the baseline"},
             {"gain-time", "evaluation time per token, relative to the baseline"}};

static double cost_of(const compared_variant *v, int cost)
{
    return cost == 0 ? v->eval.flops : v->eval.seconds;
}

static void begin(gnuplot_script *p, const comparison *c, int cost)
{
    char text[256];
    gnuplot_begin(p, COSTS[cost].name, 760, MAX(440, 120 + 19 * c->count),
                  "Gain: baseline minus variant, paired over n seeds. Bar: 95 % t-interval "
                  "(none for n = 1).");
    plot_series_title(p->out, c);
    fputs("set xlabel ", p->out);
    gnuplot_quote(p->out, COSTS[cost].axis);
    snprintf(text, sizeof text, "gain in %s (higher is better)", compare_metric_title(c->metric));
    fputs("\nset ylabel ", p->out);
    gnuplot_quote(p->out, text);
    fputs("\nset offsets graph 0.08, graph 0.08, graph 0.08, graph 0.08\n"
          "set key outside right top Left reverse samplen 1.5 spacing 1.2\n"
          "set xzeroaxis linewidth 1 linecolor 'grey40'\n"
          "$baseline << EOD\n1 0\nEOD\n",
          p->out);
}

/* Other variants than the baseline: their points, and what draws them. */
static void put_points(gnuplot_script *p, FILE *command, const comparison *c, int cost)
{
    double unit = cost_of(&c->variants[c->baseline], cost);
    for (int i = 0; i < c->count; i++) {
        const compared_variant *v = &c->variants[i];
        estimate d = v->difference;
        double x = cost_of(v, cost) / unit, half = isfinite(d.half) ? d.half : 0;
        char title[320];
        if (i == c->baseline || d.n == 0 || !isfinite(x)) continue;
        fprintf(p->out, "$variant%d << EOD\n%.9g %.9g %.9g %.9g %d\nEOD\n", i, x, -d.mean,
                -d.mean - half, -d.mean + half, d.n);
        fprintf(command,
                ", \\\n     $variant%d using 1:2:3:4 with yerrorbars linecolor %d pointtype %d "
                "pointsize 1 linewidth 1.5 title ",
                i, plot_series_colour(i), 4 + plot_series_dashes(i));
        snprintf(title, sizeof title, "%s (n = %d)", v->label, d.n);
        gnuplot_quote(command, title);
    }
}

static bool draw_gain(gnuplot_script *p, const comparison *c, int cost)
{
    const compared_variant *base = &c->variants[c->baseline];
    if (!(cost_of(base, cost) > 0)) return false;
    begin(p, c, cost);
    char *command = NULL, title[320];
    size_t bytes;
    FILE *f = open_memstream(&command, &bytes);
    CHECK(f, "no memory for a command");
    fputs("plot $baseline using 1:2 with points linecolor 'black' pointtype 2 pointsize 1 "
          "linewidth 1.5 title ",
          f);
    snprintf(title, sizeof title, "%s (baseline)", base->label);
    gnuplot_quote(f, title);
    put_points(p, f, c, cost);
    fclose(f);
    gnuplot_draw(p, command);
    free(command);
    return true;
}

bool plot_gain(plot_report *r, const comparison *c, err *e)
{
    for (int i = 0; c->learning && c->baseline >= 0 && i < 2; i++) {
        gnuplot_script p = {0};
        if (draw_gain(&p, c, i) && !gnuplot_run(r, &p, e)) return false;
    }
    return true;
}
