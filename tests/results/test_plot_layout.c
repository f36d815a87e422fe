/* Pictures hold what they show: long words, many variants, one far from the others, one of few
 * steps. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "results/claims/claims.h"
#include "results/compare/compare_load.h"
#include "results/plot/plot_claims.h"
#include "results/plot/plot_series.h"
#include "results/plot/plot_text.h"
#include "results/store/collect.h"
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
         *cost = plotted_content(&r, "cost-params.gp"),
         *loss = plotted_content(&r, "loss-tokens.gp");
    EXPECT(all && strstr(all, "set label 4 '+40 \u2192' at graph 0.99, first 3 right"), "%s",
           all ? all : "none");
    EXPECT(all && strstr(all, "long ones leave the picture") && strstr(all, "title 'worse'"), "%s",
           all ? all : "none");
    EXPECT(all && strstr(all, "set xtics 0.05\n") && strstr(all, "'d (n = 3)' 3"), "%s",
           all ? all : "none");
    /* Its bar stays, as what reaches into the picture is drawn: the second of what is worse. */
    EXPECT(all && strstr(all, " 3\n40.0002137 3 "), "%s", all ? all : "none");
    EXPECT(cost && strstr(cost, "set logscale y\nset yrange ["), "%s", cost ? cost : "none");
    EXPECT(loss && strstr(loss, "set logscale y\nset yrange ["), "%s", loss ? loss : "none");
    free(all);
    free(loss);
    free(cost);
}

/* How many points the first variant has in a script. */
static int points_of(const char *script)
{
    const char *at = script ? strstr(script, "$series0") : NULL;
    int rows = 0;
    for (; at && strncmp(at, "EOD", 3) != 0; at = strchr(at, '\n') + 1) {
        rows += *at != '$' && *at != '#';
    }
    return rows;
}

/* Beside a variant of a hundred times as many steps another keeps its own. */
static void few_steps(void)
{
    if (!plotted_have_gnuplot()) return;
    static const fake_variant variants[] = {{"short", 0, 0.001, 842000, 51234, NULL, false},
                                            {"long", 0.039, 0.002, 842000, 40321, NULL, false}};
    fake_experiment x = {test_folder(), "memory", 2, 1, 20, variants};
    plot_report r;
    err e = {0}, note = {0};
    fake_write(&x);
    fake_append(&x, 1, 1, "metrics.jsonl",
                "{\"step\":20000,\"tokens\":90000,\"seconds\":1,\"loss\":2,\"grad_norm\":1}\n");
    EXPECT(plotted(&r, &x, true, &e), "%s", e.text);
    char *loss = plotted_content(&r, "loss-tokens.gp");
    EXPECT(points_of(loss) == 20, "%d points", points_of(loss));
    free(loss);
    store *s = collect_and_open(x.out, &note, &e);
    arena *a = arena_new(0);
    const comparison *c = s ? compare_load(a, s, x.name, &(compare_options){0}, &e) : NULL;
    EXPECT(c && plot_figure(&r, s, c, "grad_norm", &(plot_how){x.out, true, false}, &e), "%s",
           e.text);
    char *norm = plotted_content(&r, "figure-grad_norm.gp");
    EXPECT(points_of(norm) == 20, "%d points of a figure", points_of(norm));
    free(norm);
    arena_free(a);
    store_close(s);
}

/* Bars that leave a picture are told in its words. */
static void long_bars(void)
{
    if (!plotted_have_gnuplot()) return;
    static const fake_variant variants[] = {{"a 1e-3", 0, 0.001, 842000, 51234, NULL, false},
                                            {"a 3e-3", 0.1, 0.001, 852000, 51234, NULL, false},
                                            {"a 1e-2", 0.2, 0.001, 862000, 51234, NULL, false},
                                            {"b 1e-3", 0.1, 0.001, 872000, 51234, NULL, false},
                                            {"b 3e-3", 0.2, 0.001, 882000, 51234, NULL, false},
                                            {"b 1e-2", 0.1, 1, 892000, 51234, NULL, false}};
    static const char *const names[] = {"cost-params.gp", "axis-lr.gp", "gain-position.gp",
                                        "differences.gp"};
    fake_experiment x = {test_folder(), "memory", 6, 3, 4, variants};
    plot_report r;
    err e = {0};
    fake_write_sliced(&x);
    fake_axes(&x);
    EXPECT(plotted(&r, &x, true, &e), "%s", e.text);
    for (int i = 0; i < 4; i++) {
        char *script = plotted_content(&r, names[i]);
        EXPECT(script && strstr(script, "long ones leave the picture"), "%s: %.900s", names[i],
               script ? script : "none");
        free(script);
    }
}

/* Of many variants nothing promises bands; losses of different decades have a logarithmic axis
 * while they fall, too. */
static void course_of_many(void)
{
    if (!plotted_have_gnuplot()) return;
    static fake_variant many[8];
    static char labels[8][8];
    for (int i = 0; i < 8; i++) {
        snprintf(labels[i], sizeof labels[i], "v%d", i);
        many[i] = (fake_variant){labels[i], 0.01 * i, 0.001, 842000, 51234, NULL, false};
    }
    for (int count = 7; count <= 8; count++) {
        fake_experiment x = {
            test_inside(count == 7 ? "seven" : "eight"), "memory", count, 1, 6, many};
        plot_report r;
        err e = {0};
        fake_write(&x);
        for (int i = 0; i < count; i++) {
            fake_append(&x, i, 1, "evals.jsonl",
                        "{\"eval\":\"a\",\"step\":10,\"tokens_seen\":5000,\"split\":"
                        "\"validation\",\"nats\":27725.8872223978,\"tokens\":1000,\"bytes\":1000,"
                        "\"protocol\":{\"context\":256,\"memory\":\"carried state, reset at "
                        "documents\",\"start\":\"learned vector, first token counted\",\"data\":"
                        "\"abcdef0123456789\"}}\n");
        }
        EXPECT(plotted(&r, &x, true, &e), "%s", e.text);
        char *script = plotted_content(&r, "validation-tokens.gp");
        EXPECT(script && strstr(script, "set logscale y\nset yrange ["), "%.900s",
               script ? script : "none");
        EXPECT(script && !!strstr(script, " Band: ") == (count == 7), "%d: %.900s", count,
               script ? script : "none");
        free(script);
    }
}

/* A number that stands behind a word in a script. */
static double told(const char *script, const char *word)
{
    const char *at = script ? strstr(script, word) : NULL;
    return at ? strtod(at + strlen(word), NULL) : (double)NAN;
}

/* Gains have the baseline in their key, one more than there are variants, and its name at their
 * axes: neither leaves the picture, however long it is. */
static void gains_of_a_long_name(void)
{
    if (!plotted_have_gnuplot()) return;
    enum { COUNT = 24 };
    static const char base[] = "a baseline that somebody called by all that it is and by all that "
                               "it is not, and then by what it might have been";
    static fake_variant many[COUNT];
    static char labels[COUNT][16];
    for (int i = 0; i < COUNT; i++) {
        snprintf(labels[i], sizeof labels[i], "v%d", i);
        many[i] = (fake_variant){i ? labels[i] : base, 0.01 * i, 0.001, 842000, 51234, NULL, false};
    }
    fake_experiment x = {test_folder(), "memory", COUNT, 2, 4, many};
    plot_report r;
    err e = {0}, note = {0};
    fake_write_sliced(&x);
    store *s = collect_and_open(x.out, &note, &e);
    arena *a = arena_new(0);
    comparison *c = s ? compare_load(a, s, x.name, &(compare_options){0}, &e) : NULL;
    const claims *none = c ? claims_load(a, s, x.name, &e) : NULL;
    for (int i = 0; c && i < c->count; i++) {
        c->variants[i].eval.flops = 1e6 * (i + 1);
    }
    if (c) c->learning = true;
    EXPECT(none && plot_experiment(&r, s, c, none, &(plot_how){x.out, true, true}, &e), "%s",
           e.text);
    char *picture = plotted_content(&r, "gain-flops.svg"),
         *script = plotted_content(&r, "gain-flops.gp"),
         *gain = plotted_content(&r, "gain-position.gp");
    EXPECT(picture && one_column(picture), "key");
    /* A line of the key is 1.2 times one of the margins. */
    const double line = 1.5 * PLOT_LETTERS;
    double height = told(script ? strstr(script, "set terminal svg size ") : NULL, ","),
           margins = told(script, "set tmargin ") + told(script, "set bmargin ");
    EXPECT(height - margins * line >= (COUNT + 1) * 1.2 * line, "%g pixels, %g lines beside it",
           height, margins);
    EXPECT(script && strstr(script, " (baseline)'") && !strstr(script, base), "the whole name");
    const char *label = gain ? strstr(gain, "set ylabel '") : NULL;
    char text[400] = "";
    if (label) snprintf(text, sizeof text, "%.*s", (int)strcspn(label + 12, "\n"), label + 12);
    EXPECT(label && strstr(text, "bits per byte") && plot_text_width(text, PLOT_LETTERS) < 380,
           "%s", text);
    free(picture);
    free(script);
    free(gain);
    arena_free(a);
    store_close(s);
}

/* Is each of a title's lines within the picture? They stand above the middle of the plot. */
static bool title_fits(const char *script)
{
    double width = told(script, "set terminal svg size "),
           right = width * told(script, "set rmargin at screen "),
           left = width * told(script, "set lmargin at screen ");
    const char *title = script ? strstr(script, "set title '") : NULL;
    if (isnan(left)) left = right - PLOT_WIDTH;
    if (!title || isnan(right)) return false;
    double middle = (left + right) / 2, room = 2 * fmin(middle, width - middle);
    char text[1024], *line = text;
    snprintf(text, sizeof text, "%.*s", (int)strcspn(title + 11, "\n"), title + 11);
    for (char *end = text; end; line = end + 7) {
        end = strstr(line, "'.\"\\n\".'");
        if (end) *end = 0;
        if (plot_text_width(line, PLOT_LETTERS) > room + 20) return false;
        if (!end) break;
    }
    return true;
}

/* With long names at one side titles break before they leave the picture at the other; those of
 * panels have room for each of their lines. */
static void titles_beside_long_names(void)
{
    if (!plotted_have_gnuplot()) return;
    static fake_variant many[8];
    static char labels[8][100];
    for (int i = 0; i < 8; i++) {
        snprintf(labels[i], sizeof labels[i],
                 "%d of those that somebody called by all that they are and by all they are not",
                 i);
        many[i] = (fake_variant){labels[i], 0.01 * i, 0.001, 842000, 51234, NULL, false};
    }
    fake_experiment x = {
        test_folder(),
        "memory-of-keys-and-values-in-books-of-the-nineteenth-century-and-what-was-"
        "written-before-them",
        8,
        2,
        6,
        many};
    static const char *const names[] = {"differences.gp", "loss-tokens.gp"};
    plot_report r;
    err e = {0};
    fake_write(&x);
    EXPECT(plotted(&r, &x, true, &e), "%s", e.text);
    for (int i = 0; i < 2; i++) {
        char *script = plotted_content(&r, names[i]);
        EXPECT(title_fits(script), "%s: %.1500s", names[i], script ? script : "none");
        free(script);
    }
    char *panels = plotted_content(&r, "loss-tokens-facets.gp");
    const char *page = panels ? strstr(panels, "set multiplot ") : NULL;
    const char *size = panels ? strstr(panels, "set terminal svg size ") : NULL;
    double width = (double)NAN, height = (double)NAN, top = (double)NAN;
    if (size) sscanf(size, "set terminal svg size %lf,%lf", &width, &height);
    if (page) sscanf(page, "set multiplot layout %*d,%*d margins %*f,%*f,%*f,%lf", &top);
    const char *end = page ? strchr(page, '\n') : NULL;
    const char *breaks = page ? strstr(page, "'.\"\\n\".'") : NULL;
    EXPECT(breaks && breaks < end, "the title of panels does not break");
    EXPECT((1 - top) * height > 42 + 2 * 20 - 1, "%g pixels for two lines", (1 - top) * height);
    free(panels);
}

/* Claims with long names and figures: the names are left of a plot in which no row's two figures
 * meet. */
static void long_claims(void)
{
    if (!plotted_have_gnuplot()) return;
    static const char name[] = "what is claimed here is claimed in words of which there are more "
                               "than any picture would have beside its plot";
    claim_statement statement = {.kind = STATEMENT_BETTER};
    judgement judged = {.n = 3, .estimate = 0.0523, .low = 0.0412, .high = 0.0634, .edge = 0.0123};
    claim stated = {.name = name, .count = 1, .statements = &statement};
    claim_verdict judgment = {.claim = &stated,
                              .verdict = VERDICT_HOLDS,
                              .n = 3,
                              .confidence = 0.9876,
                              .statements = &judged};
    stated_claim one = {.claim = &stated,
                        .verdict = &judgment,
                        .unit = "of a unit whose name is wider than others and goes on and on",
                        .scale = 1};
    claims x = {.experiment =
                    "memory of keys and values in books of the nineteenth century and of "
                    "what was written before them by those who read them, or had them read to them",
                .count = 1,
                .list = &one};
    plot_report r = {.svg_only = true};
    err e = {0};
    snprintf(r.folder, sizeof r.folder, "%s", test_folder());
    EXPECT(plot_claims(&r, &x, &e), "%s", e.text);
    char *script = plotted_content(&r, "claims.gp");
    double width = told(script, "set terminal svg size "),
           left = width * told(script, "set lmargin at screen "),
           plot = width * told(script, "set rmargin at screen ") - left;
    EXPECT(script && !strstr(script, name) && left < PLOT_NAME + 80, "names of %g pixels", left);
    EXPECT(title_fits(script), "%.1500s", script ? script : "none");
    char figures[2][200] = {"", ""};
    for (int i = 0; script && i < 2; i++) {
        const char *at = strstr(script, i ? "set label 3 '" : "set label 2 '");
        if (at) sscanf(at + 13, "%199[^']", figures[i]);
    }
    EXPECT(plot > PLOT_WIDTH + 1 && *figures[1] &&
               plot_text_width(figures[0], 9) + plot_text_width(figures[1], 9) < 0.96 * plot,
           "'%s' and '%s' in %g pixels", figures[0], figures[1], plot);
    free(script);
}

const test_suite test_plot_layout = {"results/plot_layout",
                                     {{"long_title", long_title},
                                      {"cut_labels", cut_labels},
                                      {"best_of_many", best_of_many},
                                      {"far_off", far_off},
                                      {"few_steps", few_steps},
                                      {"long_bars", long_bars},
                                      {"course_of_many", course_of_many},
                                      {"gains_of_a_long_name", gains_of_a_long_name},
                                      {"titles_beside_long_names", titles_beside_long_names},
                                      {"long_claims", long_claims},
                                      {0}}};
