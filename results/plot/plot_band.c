#include "results/plot/plot_band.h"

#include <math.h>

/* Sides are straight from point to point, so where one meets an edge is a matter of proportion; cut
 * at the points alone, a band would lean from its last point inside to the edge above the next. */

bool plot_band_leaves(const plot_series *x, const double range[2])
{
    for (int i = 0; i < x->count; i++) {
        if (x->point[i].low < range[0] || x->point[i].high > range[1]) return true;
    }
    return false;
}

static double between(double a, double b, double share)
{
    return a + share * (b - a);
}

static void put_row(FILE *out, const plot_point *a, const plot_point *b, double share,
                    const double range[2])
{
    double low = between(a->low, b->low, share), high = between(a->high, b->high, share);
    fprintf(out, "%.9g %.9g %.9g\n", between(a->x, b->x, share),
            fmin(fmax(low, range[0]), range[1]), fmin(fmax(high, range[0]), range[1]));
}

/* Where on the way from a to b, as a share of it, a side meets an edge: in order, how many. */
static int find_crossings(double share[4], const plot_point *a, const plot_point *b,
                          const double range[2])
{
    const double from[2] = {a->low, a->high}, to[2] = {b->low, b->high};
    int n = 0;
    for (int i = 0; i < 4; i++) {
        double at = (range[i % 2] - from[i / 2]) / (to[i / 2] - from[i / 2]);
        if (!(at > 0 && at < 1)) continue;
        int k = n++;
        for (; k > 0 && share[k - 1] > at; k--) {
            share[k] = share[k - 1];
        }
        share[k] = at;
    }
    return n;
}

void plot_band_data(FILE *out, const plot_series *x, int index, const double range[2])
{
    fprintf(out, "$band%d << EOD\n# x low high\n", index);
    for (int i = 0; i < x->count; i++) {
        const plot_point *p = &x->point[i];
        put_row(out, p, p, 0, range);
        if (i + 1 == x->count) break;
        double share[4];
        int n = p[1].x < p->x ? 0 : find_crossings(share, p, p + 1, range);
        for (int k = 0; k < n; k++) {
            put_row(out, p, p + 1, share[k], range);
        }
        if (p[1].x < p->x) fputc('\n', out);
    }
    fputs("EOD\n", out);
}
