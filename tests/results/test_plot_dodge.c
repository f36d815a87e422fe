/* Bars that would hide each other, and one that would press all others together. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/text.h"
#include "results/plot/plot_decades.h"
#include "results/plot/plot_dodge.h"
#include "tests/test.h"

/* By how much gnuplot moves its points. */
static double moved(const plot_series *x, double none)
{
    return *x->at ? strtod(x->at + strlen("($1*") - (x->at[3] == '*' ? 0 : 1), NULL) : none;
}

/* Three at 1 and 2, one of them at 2 alone, and one that is far from all. */
static void beside(void)
{
    plot_point both[] = {{.x = 1, .mean = 1, .low = 0, .high = 2},
                         {.x = 2, .mean = 2, .low = 1, .high = 3}};
    plot_point far[] = {{.x = 101, .mean = 1, .low = 0, .high = 2}};
    plot_series list[] = {{.count = 2, .point = both},
                          {.count = 0},
                          {.count = 2, .point = both},
                          {.count = 1, .point = both + 1},
                          {.count = 1, .point = far}};
    plot_dodge(list, 5, false);
    EXPECT(moved(&list[0], 0) < 0 && moved(&list[3], 0) > 0 && !*list[2].at, "%s, %s, %s",
           list[0].at, list[2].at, list[3].at);
    EXPECT(fabs(moved(&list[0], 0) + moved(&list[3], 0)) < 1e-6, "not around their x");
    /* All of them on half of the way to the next x, so that none seems to belong there. */
    EXPECT(moved(&list[3], 0) < 0.25, "%s", list[3].at);
    EXPECT(!*list[1].at && !*list[4].at, "%s, %s", list[1].at, list[4].at);
}

/* On a logarithmic axis by a factor, and as far to either side for the eye. */
static void by_factors(void)
{
    plot_point low[] = {{.x = 1e-4, .low = 0, .high = 1}, {.x = 1e-1, .low = 0, .high = 1}};
    plot_series list[] = {{.count = 2, .point = low}, {.count = 2, .point = low}};
    plot_dodge(list, 2, true);
    double a = moved(&list[0], 1), b = moved(&list[1], 1);
    EXPECT(a < 1 && b > 1 && fabs(a * b - 1) < 1e-5, "%s, %s", list[0].at, list[1].at);
}

/* Points without bars hide less, and stand where they are. */
static void without_bars(void)
{
    plot_point one[] = {{.x = 1, .mean = 1, .low = 1, .high = 1}};
    plot_series list[] = {{.count = 1, .point = one}, {.count = 1, .point = one}};
    plot_dodge(list, 2, false);
    EXPECT(!*list[0].at && !*list[1].at, "%s, %s", list[0].at, list[1].at);
    one[0].high = 2;
    plot_dodge(list, 2, false);
    EXPECT(moved(&list[0], 0) < 0 && moved(&list[1], 0) > 0, "%s, %s", list[0].at, list[1].at);
    /* A hundredth of the axis, which goes from 0.9 to 1.1 then. */
    EXPECT(moved(&list[1], 0) < 0.002, "%s", list[1].at);
}

/* One that is far longer than the others leaves the picture; where all are long none does. */
static void long_bars(void)
{
    plot_point points[] = {{.x = 1, .mean = 1, .low = -9, .high = 11},
                           {.x = 2, .mean = 2, .low = -9, .high = 13},
                           {.x = 3, .mean = 2, .low = -8, .high = 12}};
    plot_series x = {.count = 3, .point = points};
    double range[2];
    EXPECT(!plot_dodge_cuts(range, &x, 1), "%g to %g", range[0], range[1]);
    points[0] = (plot_point){.x = 1, .mean = 1, .low = 0.9, .high = 1.1};
    points[1] = (plot_point){.x = 2, .mean = 1.5, .low = 1.3, .high = 1.7};
    EXPECT(plot_dodge_cuts(range, &x, 1), "%g to %g", range[0], range[1]);
    EXPECT(range[0] > 0.8 && range[0] < 0.9 && range[1] > 2 && range[1] < 2.2, "%g to %g", range[0],
           range[1]);
    EXPECT(plot_dodge_leaves(range, &x, 1), "none leaves");
    /* One that is long, and within what the others take. */
    plot_point within[] = {{.x = 1, .mean = 0, .low = -0.1, .high = 0.1},
                           {.x = 2, .mean = 9, .low = 8.9, .high = 9.1},
                           {.x = 3, .mean = 4, .low = 2, .high = 6}};
    plot_series y = {.count = 3, .point = within};
    EXPECT(!plot_dodge_cuts(range, &y, 1), "%g to %g cuts none", range[0], range[1]);
}

/* The means, and of longer bars half as much to either side. */
static void ranges(void)
{
    static const struct {
        double low, high, bar_low, bar_high, wanted[2];
    } CASES[] = {{1, 2, 0.9, 2.2, {0.85, 2.25}},
                 {1, 2, -50, 50, {0.45, 2.55}},
                 {1, 1, 1, 1, {0.9995, 1.0005}}};
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        double r[2];
        plot_dodge_range(r, CASES[i].low, CASES[i].high, CASES[i].bar_low, CASES[i].bar_high);
        EXPECT(fabs(r[0] - CASES[i].wanted[0]) + fabs(r[1] - CASES[i].wanted[1]) < 1e-12,
               "%zu: %.9g to %.9g", i, r[0], r[1]);
    }
}

/* Of different decades a logarithmic axis, also with a bar that reaches below 0. */
static void decades(void)
{
    plot_point points[] = {{.x = 1, .mean = 15, .low = 14, .high = 16},
                           {.x = 2, .mean = 700, .low = -8000, .high = 9400},
                           {.x = 3, .mean = 140, .low = 130, .high = 150}};
    plot_series x = {.count = 3, .point = points};
    plot_reach r = plot_reach_of(&x, 1, false);
    EXPECT(r.decades && r.cut && r.range[0] > 4 && r.range[0] < 5 && r.range[1] > 2100 &&
               r.range[1] < 2500,
           "%g to %g", r.range[0], r.range[1]);
    text_memory m;
    plot_reach_axis(text_begin(&m), &r);
    text_auto *text = text_end(&m);
    EXPECT(strstr(text, "set ytics (5, 10, 20, 50, 100, 200, 500, 1000, 2000)\n"), "%s", text);
    EXPECT(!plot_reach_of(&x, 1, true).decades, "straight was asked for");
    points[1] = points[2];
    EXPECT(!plot_decades(r.range, &x, 1), "within a decade");
    points[0].mean = 0;
    EXPECT(!plot_decades(r.range, &x, 1), "0 has no logarithm");
}

const test_suite test_plot_dodge = {"results/plot_dodge",
                                    {{"beside", beside},
                                     {"by_factors", by_factors},
                                     {"without_bars", without_bars},
                                     {"long_bars", long_bars},
                                     {"ranges", ranges},
                                     {"decades", decades},
                                     {0}}};
