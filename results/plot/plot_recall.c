#include "results/plot/plot_recall.h"

#include <math.h>

#include "results/compare/compare_recall.h"
#include "results/plot/plot_dodge.h"

/* Accuracies, and what guessing gives. 0 to 1 with a little air, always: two probes can be laid
 * side by side. Distances go by factors, and so does the axis. */
static void put_accuracy(FILE *out, const recall_comparison *r)
{
    fputs("set logscale x 2\nset yrange [-0.03:1.03]\n", out);
    /* No symbols in the spec: chance is not known, and no line claims it. */
    if (!isfinite(r->chance)) return;
    fprintf(out,
            "set arrow 1 from graph 0, first %.6g to graph 1, first %.6g nohead back linecolor "
            "rgb '#808080' dashtype 2\n"
            "set label 2 'chance' at graph 0.99, first %.6g right offset 0, 0.5 font ',9' "
            "textcolor rgb '#606060'\n",
            r->chance, r->chance, r->chance);
}

/* The first line is the widest and is drawn first. */
static plot_series series_of(arena *a, const comparison *c, const recall_comparison *r, int i)
{
    /* Many are right everywhere up to their reach: those below stay visible as a rim. */
    plot_series x = {.label = c->variants[i].label,
                     .look = c->variants[i].look,
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

/* All variants, as it is their distances of failure that are compared. */
static bool draw_distances(plot_report *r, arena *a, const comparison *c,
                           const recall_comparison *x, err *e)
{
    plot_series *list = ARENA_NEW(a, plot_series, c->count);
    int points = 0;
    for (int i = 0; i < c->count; i++) {
        list[i] = series_of(a, c, x, i);
        points += list[i].count;
    }
    if (points == 0) return true;
    gnuplot_script p;
    plot_series_begin(&p, c,
                      &(plot_frame){.name = "recall",
                                    .caption = plot_series_spreads(c->count, false),
                                    .question = "how far back does each variant remember?",
                                    .x = "distance from question to answer (tokens)",
                                    .y = "accuracy",
                                    .lines = c->count});
    put_accuracy(p.out, x);
    /* A seventh beyond the outer distances, since points at the frame are cut in half. */
    fprintf(p.out, "set xrange [%.6g:%.6g]\nset format x '%%.0f'\nset xtics rotate by -35\n",
            (double)x->distances[0] / 1.15, (double)x->distances[x->count - 1] * 1.15);
    plot_series_draw(&p, list, c->count, PLOT_MARKED, true, NULL);
    return gnuplot_run(r, &p, e);
}

/* What a memory remembers against what it carries: a point for each variant that carries anything.
 *
 * `means` is of each run's mean over the distances, so that the bar is of seeds
 * (compare_recall.c). */
static bool draw_state(plot_report *r, arena *a, const comparison *c, const recall_comparison *x,
                       err *e)
{
    plot_series *list = arena_push_zero(a, c->count, sizeof *list);
    int points = 0;
    for (int i = 0; i < c->count; i++) {
        const compared_variant *v = &c->variants[i];
        const recall_cell *cell = &x->means[i];
        /* On a logarithmic axis nothing that carries nothing has a place. */
        if (cell->accuracy.n == 0 || v->state_bytes <= 0) continue;
        list[i] = (plot_series){
            .label = v->label, .look = v->look, .count = 1, .point = ARENA_NEW(a, plot_point, 1)};
        *list[i].point = (plot_point){.x = (double)v->state_bytes,
                                      .mean = cell->accuracy.mean,
                                      .low = cell->low,
                                      .high = cell->high,
                                      .n = cell->accuracy.n};
        points++;
    }
    /* One point compares nothing. */
    if (points < 2) return true;
    gnuplot_script p;
    plot_series_begin(
        &p, c,
        &(plot_frame){.name = "recall-state",
                      .caption = "Point: mean over distances and n seeds. Bar: from "
                                 "the lowest to the highest seed; those of one x beside each "
                                 "other.",
                      .question = "what is remembered, for what is carried?",
                      .x = "carried state of a stream (bytes)",
                      .y = "accuracy, mean over distances",
                      .lines = c->count});
    put_accuracy(p.out, x);
    fputs("set offsets graph 0.08, graph 0.08, 0, 0\nset format x '%.0f'\n"
          "set xtics rotate by -35\n",
          p.out);
    plot_dodge(list, c->count, true);
    plot_series_draw(&p, list, c->count, PLOT_BARS, false, NULL);
    return gnuplot_run(r, &p, e);
}

/* No probe, no picture. */
bool plot_recall(plot_report *r, arena *a, store *s, const comparison *c, err *e)
{
    const recall_comparison *x = compare_recall(a, c, s, e);
    if (!x) return false;
    return x->count == 0 || (draw_distances(r, a, c, x, e) && draw_state(r, a, c, x, e));
}
