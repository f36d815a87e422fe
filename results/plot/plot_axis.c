#include "results/plot/plot_axis.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "results/compare/compare_best.h"
#include "results/compare/compare_group.h"
#include "results/compare/compare_load.h"
#include "results/plot/plot_decades.h"
#include "results/plot/plot_dodge.h"
#include "results/plot/plot_text.h"
#include "results/store/query.h"

/* A variant is a point: x is what the axis says of it, and the line that it belongs to is what all
 * other axes say. So one sweep of learning rates over five models is five lines, and their shapes
 * answer whether a difference between models is one of their learning rates. Axes whose values are
 * no numbers, or of which fewer than three points are known, have no picture. */

/* One variant's place: what the axis says, and the line that it belongs to. */
typedef struct setting {
    double x;
    const char *line, *name; /* equal texts where the line is one; what it is called */
    const compared_variant *variant;
} setting;

typedef struct settings {
    int count, series_count;
    setting *list;          /* [variants] */
    const setting **series; /* one of each line, in order of appearance */
} settings;

static bool is_axis(const void *wanted, const char *axis)
{
    return strcmp(axis, wanted) == 0;
}

/* Those variants that have a number and a result. The list's entry is filled before it is known
 * whether it stays; one that does not is overwritten by the next. */
static bool read_settings(settings *out, arena *a, store *s, const comparison *c, const char *axis,
                          err *e)
{
    *out = (settings){.list = arena_push_zero(a, c->count, sizeof(setting)),
                      .series = ARENA_NEW(a, const setting *, c->count)};
    const compare_grouping by = {c->experiment, "all", is_axis, axis};
    for (int i = 0; i < c->count; i++) {
        setting *x = &out->list[out->count];
        compare_group group;
        if (!compare_group_read(&group, a, s, &by, c->variants[i].plan_label, e)) return false;
        *x = (setting){group.number, group.key, group.name, &c->variants[i]};
        if (!isfinite(x->x) || x->variant->value[c->metric].n == 0) continue;
        int k = 0;
        while (k < out->series_count && strcmp(out->series[k]->line, x->line) != 0) {
            k++;
        }
        if (k == out->series_count) out->series[out->series_count++] = x;
        out->count++;
    }
    return true;
}

/* More lines than can be told apart: those with the best points stay. By the best point, not by the
 * mean over the axis: a line that is bad at one learning rate may be the best at another. Ties go
 * by the order of the lines, so that exactly as many are kept. */
static void keep_best(settings *all, arena *a, compare_metric m)
{
    double *least = ARENA_NEW(a, double, all->series_count);
    for (int k = 0; k < all->series_count; k++) {
        least[k] = (double)INFINITY;
        for (int i = 0; i < all->count; i++) {
            if (strcmp(all->list[i].line, all->series[k]->line) != 0) continue;
            least[k] = fmin(least[k], all->list[i].variant->value[m].mean);
        }
    }
    int kept = 0;
    for (int k = 0; k < all->series_count; k++) {
        int better = 0;
        for (int i = 0; i < all->series_count; i++) {
            better += least[i] < least[k] || (least[i] <= least[k] && i < k);
        }
        if (better < COMPARE_BEST) all->series[kept++] = all->series[k];
    }
    all->series_count = kept;
}

/* Ties keep no order: equal x of one line would be one variant twice. */
static int by_x(const void *a, const void *b)
{
    double x = ((const setting *)a)->x, y = ((const setting *)b)->x;
    return (x > y) - (x < y);
}

/* Tics where the values are, but for those that would stand in the way of the one before. The
 * widths of texts are guessed from their letters (plot_text.h), the axis is 0.86 of the plot wide,
 * as 0.08 of it lies free on either side. */
static void put_tics(FILE *out, const setting *sorted, int count, bool logarithmic)
{
    double low = sorted[0].x, high = sorted[count - 1].x, end = -1;
    fputs("set autoscale xfix\nset format x '%g'\nset xtics (", out);
    for (int i = 0; i < count; i++) {
        char text[32];
        double x = sorted[i].x;
        /* Between the first and the last value; draw_axis has seen to it that these differ. */
        double share = logarithmic ? log(x / low) / log(high / low) : (x - low) / (high - low);
        snprintf(text, sizeof text, "%g", x);
        double half = plot_text_width(text, PLOT_LETTERS) / 2, at = 0.86 * PLOT_WIDTH * share;
        if (end >= 0 && at - half < end + 8) continue;
        fprintf(out, "%s'%s' %.9g", end < 0 ? "" : ", ", text, x);
        end = at + half;
    }
    fputs(")\n", out);
}

/* `sorted`, so that a line goes from left to right once. */
static plot_series series_of(arena *a, const settings *all, const setting *sorted, int k,
                             compare_metric m)
{
    plot_series x = {
        .label = all->series[k]->name, .look = k, .point = ARENA_NEW(a, plot_point, all->count)};
    for (int i = 0; i < all->count; i++) {
        if (strcmp(sorted[i].line, all->series[k]->line) != 0) continue;
        estimate v = sorted[i].variant->value[m];
        double half = isfinite(v.half) ? v.half : 0;
        x.point[x.count++] =
            (plot_point){sorted[i].x, v.mean, v.mean - half, v.mean + half, v.n, NULL};
    }
    return x;
}

/* By each line's place, with bars of one x beside each other. */
static plot_series *series_beside(arena *a, const settings *all, const setting *sorted,
                                  compare_metric m, bool logarithmic)
{
    plot_series *list = ARENA_NEW(a, plot_series, all->series_count);
    for (int k = 0; k < all->series_count; k++) {
        list[k] = series_of(a, all, sorted, k, m);
    }
    plot_dodge(list, all->series_count, logarithmic);
    return list;
}

static void put_caption(char text[256], int lines, int shown, bool cut)
{
    int n = snprintf(text, 256, "Point: mean over n seeds. Bar: 95 %% t-interval (none for n = 1)");
    if (shown > 1) n += snprintf(text + n, 256 - (size_t)n, "; those of one x beside each other");
    if (cut) n += snprintf(text + n, 256 - (size_t)n, PLOT_LONG);
    n += snprintf(text + n, 256 - (size_t)n, ".");
    if (lines > shown) {
        snprintf(text + n, 256 - (size_t)n, " The best %d of %d lines.", shown, lines);
    }
}

/* Lower is better for every metric, which the y axis says, as a valley is what is looked for. */
static bool draw_axis(plot_report *r, arena *a, store *s, const comparison *c, const char *axis,
                      const char *name, err *e)
{
    settings all;
    if (!read_settings(&all, a, s, c, axis, e)) return false;
    /* Lines are known by their first place in the list: sort a copy. */
    setting *sorted = ARENA_NEW(a, setting, all.count);
    if (all.count) memcpy(sorted, all.list, (size_t)all.count * sizeof *sorted);
    qsort(sorted, (size_t)all.count, sizeof *sorted, by_x);
    /* Two points are no course, and equal values no axis. */
    if (all.count < 3 || sorted[0].x >= sorted[all.count - 1].x) return true;
    int lines = all.series_count;
    if (lines > COMPARE_BEST) keep_best(&all, a, c->metric);
    /* From a factor of four on: learning rates are tried by factors, widths by steps, and on a
     * straight axis 1e-4, 3e-4 and 1e-3 stand on top of each other. */
    bool logarithmic = sorted[0].x > 0 && sorted[all.count - 1].x / sorted[0].x >= 4;
    plot_series *list = series_beside(a, &all, sorted, c->metric, logarithmic);
    char caption[256], y[128], question[320];
    plot_reach reach = plot_reach_of(list, all.series_count, false);
    put_caption(caption, lines, all.series_count, reach.cut);
    /* Names of lines are shorter than labels, without the axis; 70 pixels more for the count of
     * seeds. */
    double names = 0;
    gnuplot_script p;
    snprintf(y, sizeof y, "%s (lower is better)", compare_metric_title(c->metric));
    snprintf(question, sizeof question, "which %.256s is best, and how much does it matter?", axis);
    for (int k = 0; k < all.series_count; k++) {
        names = fmax(names, plot_text_width(all.series[k]->name, PLOT_LETTERS) + 70);
    }
    plot_series_begin(&p, c,
                      &(plot_frame){.name = name,
                                    .caption = caption,
                                    .question = question,
                                    .x = axis,
                                    .y = y,
                                    .names = names,
                                    .lines = all.series_count});
    fprintf(p.out, "%sset offsets graph 0.08, graph 0.08, graph 0.08, graph 0.08\n",
            logarithmic ? "set logscale x\n" : "");
    put_tics(p.out, sorted, all.count, logarithmic);
    plot_reach_axis(p.out, &reach);
    plot_series_draw(&p, list, all.series_count, PLOT_BAR_LINES, false, NULL);
    return gnuplot_run(r, &p, e);
}

/* Settings that were tried and not chosen show how sensitive a variant is, on what they were chosen
 * by. */
static const comparison *all_tried(arena *a, store *s, const comparison *c, err *e)
{
    if (!c->tune) return c;
    /* At the same amount of training, and of the same metric: else what is shown would not be what
     * was chosen by. */
    const compare_options how = {.split = "validation",
                                 .protocol = c->protocol_asked,
                                 .metric = c->metric,
                                 .at = c->at,
                                 .at_amount = c->at_amount};
    return compare_load(a, s, c->experiment, &how, e);
}

/* One picture for each axis, in the order of the spec; those without numbers draw nothing. */
bool plot_axis(plot_report *r, arena *a, store *s, const comparison *c, err *e)
{
    /* A file name from a key of the spec, which may have any characters. */
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
    const comparison *tried = all_tried(a, s, c, e);
    if (!tried) return false;
    query q = QUERY(
        s, e,
        /* min(position): in the order of the spec, each axis once. */
        "SELECT axis FROM axis WHERE experiment = ?1 GROUP BY axis ORDER BY min(position), axis",
        c->experiment);
    bool ok = true;
    while (ok && query_next(&q)) {
        const char *axis = query_text(&q, "axis", a), *dot = strrchr(axis, '.');
        char name[48];
        snprintf(name, sizeof name, "axis-%.40s", dot ? dot + 1 : axis);
        for (char *x = name + strlen("axis-"); *x; x++) {
            if (!strchr(letters, *x)) *x = '_';
        }
        ok = draw_axis(r, a, s, tried, axis, name, e);
    }
    return query_close(&q) && ok;
}
