/* Pictures hold what they show: long words, many variants, one far from the others, one of few
 * steps. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/plotted.h"
#include "tests/test.h"

/* A title stands above the middle of the plot: one as wide as the picture would leave it at the
 * left, where the plot's room is less than the key's. */
static void long_title(void)
{
    text_memory m;
    gnuplot_script p = {.width = 1000, .out = text_begin(&m)};
    static const char text[] =
        "which of these has words enough for more than half of a picture, and "
        "for no more than all of it?";
    gnuplot_title(&p, 280, text);
    text_auto *all = text_end(&m);
    EXPECT(strstr(all, "'.\"\\n\".'"), "%s", all);
    p.out = text_begin(&m);
    gnuplot_title(&p, 500, text);
    text_auto *whole = text_end(&m);
    EXPECT(!strstr(whole, "\\n"), "%s", whole);
}

/* A text that was cut within a letter makes no SVG that nothing can read. */
static void cut_labels(void)
{
    text_memory m;
    gnuplot_quote(text_begin(&m), "caf\xc3\xa9 100% caf\xc3");
    text_auto *text = text_end(&m);
    EXPECT(strcmp(text, "'caf\xc3\xa9 100% caf?'") == 0, "%s", text);
}

/* Do the names in an SVG's key, which have "(n = " behind them, begin at one x? gnuplot puts what
 * its height does not hold into a second column, over the plot. */
static bool one_column(const char *svg)
{
    double first = (double)NAN;
    for (const char *x = svg; (x = strstr(x, "(n = ")); x++) {
        const char *place = x;
        while (place > svg && strncmp(place, "translate(", 10) != 0) {
            place--;
        }
        double at = strtod(place + 10, NULL);
        if (isnan(first)) first = at;
        if (fabs(at - first) > 0.01) return false;
    }
    return !isnan(first);
}

/* Of many variants pictures show the best ones and the baseline, however bad that is: they stay
 * small and can be read. */
static void best_of_many(void)
{
    if (!plotted_have_gnuplot()) return;
    enum { MANY_VARIANTS = 60 };
    static fake_variant many[MANY_VARIANTS];
    static char labels[MANY_VARIANTS][16];
    for (int i = 0; i < MANY_VARIANTS; i++) {
        snprintf(labels[i], sizeof labels[i], "v%d", i);
        many[i] =
            (fake_variant){labels[i], i ? 0.01 * i : -1, 0, 842000 + 1000 * i, 51234, NULL, false};
    }
    fake_experiment x = {test_folder(), "memory", MANY_VARIANTS, 2, 120, many};
    plot_report r;
    err e = {0};
    fake_write(&x);
    EXPECT(plotted(&r, &x, true, &e), "%s", e.text);
    static const char *const names[] = {"loss-tokens.svg", "loss-tokens-facets.svg",
                                        "differences.svg", "cost-params.svg"};
    for (int i = 0; i < 4; i++) {
        char *picture = plotted_content(&r, names[i]);
        EXPECT(picture && strstr(picture, "memory: best 24 of 60 variants"), "%s: title", names[i]);
        EXPECT(picture && strlen(picture) < 800000, "%s: %zu bytes", names[i], strlen(picture));
        EXPECT(picture && strstr(picture, ">v59") && strstr(picture, ">v37") &&
                   !strstr(picture, ">v36") && (i == 2 || strstr(picture, ">v0")),
               "%s: which variants", names[i]);
        /* Panels have no key, and names of differences end where the plot begins. */
        EXPECT(i == 1 || i == 2 || (picture && one_column(picture)), "%s: key", names[i]);
        free(picture);
    }
}

/* A variant whose training failed leaves the others apart: by a word at the edge of differences, on
 * a logarithmic axis where quality stands. A key has a line for the others' kinds. */
static void far_off(void)
{
    if (!plotted_have_gnuplot()) return;
    static const fake_variant variants[] = {{"a", 0, 0.001, 842000, 51234, NULL, false},
                                            {"b", -0.1, 0.001, 942000, 51234, NULL, false},
                                            {"c", 0.1, 0.001, 852000, 51234, NULL, false},
                                            {"d", -40, 0.001, 862000, 51234, NULL, false}};
    fake_experiment x = {test_folder(), "memory", 4, 3, 6, variants};
    plot_report r;
    err e = {0};
    fake_write(&x);
    EXPECT(plotted(&r, &x, true, &e), "%s", e.text);
    char *all = plotted_content(&r, "differences.gp"),
         *cost = plotted_content(&r, "cost-params.gp");
    EXPECT(all && strstr(all, "set label 4 '+40 \u2192' at graph 0.99, first 3 right"), "%s",
           all ? all : "none");
    EXPECT(all && strstr(all, "long ones leave the picture") && strstr(all, "title 'worse'"), "%s",
           all ? all : "none");
    EXPECT(all && strstr(all, "set xtics 0.05\n") && strstr(all, "'d (n = 3)' 3"), "%s",
           all ? all : "none");
    EXPECT(cost && strstr(cost, "set logscale y\nset yrange ["), "%s", cost ? cost : "none");
    free(all);
    free(cost);
}

/* Beside a variant of a hundred times as many steps another keeps its own. */
static void few_steps(void)
{
    if (!plotted_have_gnuplot()) return;
    static const fake_variant variants[] = {{"short", 0, 0.001, 842000, 51234, NULL, false},
                                            {"long", 0.039, 0.002, 842000, 40321, NULL, false}};
    fake_experiment x = {test_folder(), "memory", 2, 1, 20, variants};
    plot_report r;
    err e = {0};
    fake_write(&x);
    fake_append(&x, 1, 1, "metrics.jsonl",
                "{\"step\":20000,\"tokens\":90000,\"seconds\":1,\"loss\":2,\"grad_norm\":1}\n");
    EXPECT(plotted(&r, &x, true, &e), "%s", e.text);
    char *loss = plotted_content(&r, "loss-tokens.gp"),
         *at = loss ? strstr(loss, "$series0") : NULL;
    int rows = -2; /* the block's name, and what its columns are */
    for (; at && strncmp(at, "EOD", 3) != 0; at = strchr(at, '\n') + 1) {
        rows++;
    }
    EXPECT(rows == 20, "%d points", rows);
    free(loss);
}

const test_suite test_plot_layout = {"results/plot_layout",
                                     {{"long_title", long_title},
                                      {"cut_labels", cut_labels},
                                      {"best_of_many", best_of_many},
                                      {"far_off", far_off},
                                      {"few_steps", few_steps},
                                      {0}}};
