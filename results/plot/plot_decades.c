#include "results/plot/plot_decades.h"

#include <math.h>

#include "results/plot/plot_dodge.h"

/* So far beyond the outer means bars may reach; room at the frame. */
static const double BARS = 3, AIR = 1.15;

bool plot_decades(double range[2], const plot_series *list, int count)
{
    double low = (double)INFINITY, high = -(double)INFINITY;
    double bar_low = low, bar_high = high;
    for (int i = 0; i < count; i++) {
        for (int k = 0; k < list[i].count; k++) {
            const plot_point *p = &list[i].point[k];
            low = fmin(low, p->mean);
            high = fmax(high, p->mean);
            bar_low = fmin(bar_low, p->low);
            bar_high = fmax(bar_high, p->high);
        }
    }
    if (!(low > 0) || !(high >= DECADE * low)) return false;
    range[0] = fmax(bar_low, low / BARS) / AIR;
    range[1] = fmin(bar_high, high * BARS) * AIR;
    return true;
}

/* 1, 2 and 5 of each decade where there are few of them: gnuplot itself would name its powers of
 * ten alone, of which there may be one. As numbers, which are shown as the axis shows numbers. */
void plot_decades_axis(FILE *out, const double range[2])
{
    static const int leads[] = {1, 2, 5};
    double first = floor(log10(range[0])), last = ceil(log10(range[1]));
    int step = last - first > 4 ? 3 : 1, count = 0; /* of many decades only their beginnings */
    fprintf(out, "set logscale y\nset yrange [%.6g:%.6g]\nset ytics (", range[0], range[1]);
    for (double power = first; power <= last; power++) {
        for (int i = 0; i < 3; i += step) {
            double at = leads[i] * pow(10, power);
            if (at < range[0] || at > range[1]) continue;
            fprintf(out, "%s%.6g", count++ ? ", " : "", at);
        }
    }
    fputs(")\n", out);
}

plot_reach plot_reach_of(const plot_series *list, int count, bool straight)
{
    plot_reach x;
    x.decades = !straight && plot_decades(x.range, list, count);
    x.cut =
        x.decades ? plot_dodge_leaves(x.range, list, count) : plot_dodge_cuts(x.range, list, count);
    return x;
}

void plot_reach_axis(FILE *out, const plot_reach *x)
{
    if (x->decades) {
        plot_decades_axis(out, x->range);
    } else if (x->cut) {
        fprintf(out, "set yrange [%.6g:%.6g]\n", x->range[0], x->range[1]);
    }
}
