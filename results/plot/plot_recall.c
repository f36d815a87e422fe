#include "results/plot/plot_recall.h"

#include <math.h>

#include "results/compare/compare_recall.h"

static void put_axes(FILE *out, const recall_comparison *r)
{
    fprintf(out,
            "set logscale x 2\nset xrange [%.6g:%.6g]\n"
            "set yrange [-0.03:1.03]\nset format x '%%.0f'\nset xtics rotate by -35\n",
            (double)r->distances[0] / 1.15, (double)r->distances[r->count - 1] * 1.15);
    if (!isfinite(r->chance)) return;
    fprintf(out,
            "set arrow 1 from graph 0, first %.6g to graph 1, first %.6g nohead back linecolor "
            "rgb '#808080' dashtype 2\n"
            "set label 2 'chance' at graph 0.99, first %.6g right offset 0, 0.5 font ',9' "
            "textcolor rgb '#606060'\n",
            r->chance, r->chance, r->chance);
}

static plot_series series_of(arena *a, const comparison *c, const recall_comparison *r, int i)
{
    /* Many are right everywhere up to their reach: those below stay visible as a rim. */
    plot_series x = {.label = c->variants[i].label,
                     .look = i,
                     .width = 1.2 + 0.6 * (c->count - 1 - i),
                     .point = ARENA_NEW(a, plot_point, r->count)};
    for (int k = 0; k < r->count; k++) {
        const recall_cell *cell = &r->cells[i * r->count + k];
        if (cell->accuracy.n == 0) continue;
        x.point[x.count++] = (plot_point){.x = (double)r->distances[k],
                                          .mean = cell->accuracy.mean,
                                          .low = cell->low,
                                          .high = cell->high,
                                          .n = cell->accuracy.n};
    }
    return x;
}

bool plot_recall(plot_report *r, arena *a, store *s, const comparison *c, err *e)
{
    const recall_comparison *x = compare_recall(a, c, s, e);
    if (!x) return false;
    plot_series *list = ARENA_NEW(a, plot_series, c->count);
    int points = 0;
    for (int i = 0; x->count > 0 && i < c->count; i++) {
        list[i] = series_of(a, c, x, i);
        points += list[i].count;
    }
    if (points == 0) return true;
    gnuplot_script p;
    plot_series_begin(
        &p, c,
        &(plot_frame){.name = "recall",
                      .caption =
                          "Line: mean over n seeds. Band: from the lowest to the highest seed.",
                      .x = "distance from question to answer (tokens)",
                      .y = "accuracy",
                      .lines = c->count});
    put_axes(p.out, x);
    plot_series_draw(&p, list, c->count, PLOT_MARKED, true);
    return gnuplot_run(r, &p, e);
}
