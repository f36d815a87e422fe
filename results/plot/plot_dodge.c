#include "results/plot/plot_dodge.h"

#include <math.h>
#include <stdlib.h>

#include "core/base/arena.h"
#include "results/plot/plot_band.h"

/* A share of what the axis spans: from one bar to the next, and what counts as one x. About as wide
 * as a mark. */
static const double APART = 0.014;

/* An axis on which distances are what the eye sees. */
typedef struct scale {
    double low, span;
    bool logarithmic;
} scale;

static double place(const scale *s, double x)
{
    return ((s->logarithmic ? log(x) : x) - s->low) / s->span;
}

static bool has_bars(const plot_series *list, int count)
{
    int i = 0;
    while (i < count && !plot_series_spread(&list[i])) {
        i++;
    }
    return i < count;
}

static scale scale_of(const plot_series *list, int count, bool logarithmic)
{
    double low = (double)INFINITY, high = -(double)INFINITY;
    for (int i = 0; i < count; i++) {
        for (int k = 0; k < list[i].count; k++) {
            double x = list[i].point[k].x;
            low = fmin(low, logarithmic ? log(x) : x);
            high = fmax(high, logarithmic ? log(x) : x);
        }
    }
    /* All at one x: gnuplot then shows a tenth to either side of it. */
    double span = high > low ? high - low : logarithmic ? 0.2 : 0.2 * fabs(low);
    return (scale){low, span > 0 ? span : 1, logarithmic};
}

/* Do they have points at one x? Of single points those that are nearly so hide each other, too; of
 * lines *gap becomes the least distance of two points that are not, if less. */
static bool share(const scale *s, const plot_series *a, const plot_series *b, double *gap)
{
    bool same = false, lines = MAX(a->count, b->count) > 1;
    for (int i = 0; i < a->count; i++) {
        for (int k = 0; k < b->count; k++) {
            double off = fabs(place(s, a->point[i].x) - place(s, b->point[k].x));
            bool near = off <= (lines ? 1e-9 : APART);
            same = same || near;
            if (lines && !near) *gap = fmin(*gap, off);
        }
    }
    return same;
}

void plot_dodge(plot_series *list, int count, bool logarithmic)
{
    if (!has_bars(list, count)) return;
    scale s = scale_of(list, count, logarithmic);
    for (int i = 0; i < count; i++) {
        int before = 0, all = 0;
        double gap = 1;
        for (int k = 0; k < count; k++) {
            bool beside = list[k].count > 0 && share(&s, &list[i], &list[k], &gap);
            before += beside && k < i;
            all += beside;
        }
        /* No further than halfway to those at the next x. */
        double apart = fmin(APART, 0.5 * gap / MAX(all, 1));
        double by = (before - (all - 1) / 2.0) * apart * s.span;
        if (list[i].count == 0 || (by >= 0 && by <= 0)) continue;
        snprintf(list[i].at, sizeof list[i].at, logarithmic ? "($1*%.6g)" : "($1%+.4g)",
                 logarithmic ? exp(by) : by);
    }
}

void plot_dodge_range(double range[2], double low, double high, double bar_low, double bar_high)
{
    /* Where all means are one value, as much as can be told in print. */
    double span = high > low ? high - low : 0.01;
    range[0] = fmin(low, fmax(bar_low, low - span / 2)) - 0.05 * span;
    range[1] = fmax(high, fmin(bar_high, high + span / 2)) + 0.05 * span;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Of all bars, a median; 0: there are none. */
static double usual_length(const plot_series *list, int count)
{
    int points = 0, n = 0;
    arena_auto *a = arena_new(0);
    for (int i = 0; i < count; i++) {
        points += list[i].count;
    }
    double *length = ARENA_NEW(a, double, MAX(points, 1));
    for (int i = 0; i < count; i++) {
        for (int k = 0; k < list[i].count; k++) {
            const plot_point *p = &list[i].point[k];
            if (p->high > p->low) length[n++] = p->high - p->low;
        }
    }
    qsort(length, (size_t)n, sizeof *length, by_size);
    return n ? length[n / 2] : 0;
}

bool plot_dodge_cuts(double range[2], const plot_series *list, int count)
{
    enum { TIMES = 4 };
    double low = (double)INFINITY, high = -(double)INFINITY, usual = usual_length(list, count);
    for (int i = 0; i < count; i++) {
        for (int k = 0; k < list[i].count; k++) {
            const plot_point *p = &list[i].point[k];
            bool far = p->high - p->low > TIMES * usual;
            low = fmin(low, far ? p->mean : p->low);
            high = fmax(high, far ? p->mean : p->high);
        }
    }
    range[0] = low - 0.05 * (high - low);
    range[1] = high + 0.05 * (high - low);
    return high > low && plot_dodge_leaves(range, list, count);
}

bool plot_dodge_leaves(const double range[2], const plot_series *list, int count)
{
    int i = 0;
    while (i < count && !plot_band_leaves(&list[i], range)) {
        i++;
    }
    return i < count;
}
