/* Plots: files are there, SVG depends on the data alone, odd names do no harm. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "results/compare/compare_load.h"
#include "results/plot/gnuplot.h"
#include "results/plot/plot.h"
#include "results/store/collect.h"
#include "tests/support/plotted.h"
#include "tests/test.h"

static const fake_variant VARIANTS[] = {
    {"short", 0, 0.001, 842000, 51234, NULL, false},
    {"it's_{long} $x `id` \"q\"", 0.039, 0.002, 842000, 40321, NULL, false},
    {"wide", 0.001, 0.02, 1684000, 30123, "diverged", false},
};

static void pictures(void)
{
    if (!plotted_have_gnuplot()) return;
    fake_experiment x = {test_folder(), "memory", 3, 3, 20, VARIANTS};
    plot_report r, again;
    err e = {0};
    fake_write(&x);
    EXPECT(plotted(&r, &x, false, &e), "%s", e.text);
    EXPECT(r.count == 21 || (r.count == 7 && strstr(r.note, "fonts")), "%d files: %s", r.count,
           r.note);
    static const char *const names[] = {"loss-tokens", "loss-time", "differences", "cost-params",
                                        "cost-speed"};
    for (int i = 0; i < 5; i++) {
        char svg[64], gp[64];
        snprintf(svg, sizeof svg, "%s.svg", names[i]);
        snprintf(gp, sizeof gp, "%s.gp", names[i]);
        char *picture = plotted_content(&r, svg), *script = plotted_content(&r, gp);
        EXPECT(picture && strstr(picture, "it's_{long} $x `id` \"q\"") != NULL, "%s lacks a label",
               svg);
        EXPECT(script && strstr(script, "set colorsequence podo"), "%s", gp);
        free(picture);
        free(script);
    }
    char *svg = plotted_content(&r, "loss-tokens.svg");
    EXPECT(plotted(&again, &x, true, &e), "%s", e.text);
    char *second = plotted_content(&again, "loss-tokens.svg");
    EXPECT(svg && second && strcmp(svg, second) == 0, "drawn twice, it differs");
    free(second);
    EXPECT(svg && strstr(svg, "wide (n = 2 to 3)") && strstr(svg, "mean over n seeds"), "caption");
    free(svg);
}

/* What gnuplot could take for a format, markup, the end of a string, a command or an entity of SVG
 * is drawn as it is, by every picture; so is all of it where GNUTERM names a terminal that is not
 * there. */
static void odd_labels(void)
{
    if (!plotted_have_gnuplot()) return;
    static const fake_variant odd[] = {
        {"100%", 0, 0.001, 842000, 51234, NULL, false},
        {"%s%n %d", 0.1, 0.001, 8412000, 51234, NULL, false},
        {"a\\b\\n{/Bold x}^2_{y} @z ~{a}&b", 0.1, 0.001, 8422000, 51234, NULL, false},
        {"'", 0.1, 0.001, 8432000, 51234, NULL, false},
        {"''a'''b''", 0.1, 0.001, 8442000, 51234, NULL, false},
        {"end\\", 0.1, 0.001, 8452000, 51234, NULL, false},
        {"it's @GPVAL_TERM", 0.1, 0.001, 8492000, 51234, NULL, false},
        {"x', 1 notitle #", 0.1, 0.001, 8462000, 51234, NULL, false},
        {"line\nbreak", 0.1, 0.001, 8472000, 51234, NULL, false},
        {"\u65e5\u672c \u221e", 0.1, 0.001, 8482000, 51234, NULL, false},
    };
    /* As XML has them. */
    static const char *const shown[] = {">100%",
                                        ">%s%n %d",
                                        ">a\\b\\n{/Bold x}^2_{y} @z ~{a}&amp;b",
                                        ">'",
                                        ">''a'''b''",
                                        ">end\\",
                                        ">it's @GPVAL_TERM",
                                        ">x', 1 notitle #",
                                        ">line break",
                                        ">\u65e5\u672c \u221e"};
    static const char *const names[] = {"loss-tokens.svg", "differences.svg",
                                        "loss-tokens-facets.svg", "cost-params.svg",
                                        "slices-position.svg"};
    fake_experiment x = {test_folder(), "memory", 10, 2, 4, odd};
    plot_report r;
    err e = {0};
    fake_write_sliced(&x);
    setenv("GNUTERM", "no-such-terminal", 1);
    EXPECT(plotted(&r, &x, true, &e), "%s", e.text);
    unsetenv("GNUTERM");
    for (int i = 0; i < 5; i++) {
        char *picture = plotted_content(&r, names[i]);
        /* The baseline has no difference to itself. */
        for (int k = i == 1; picture && k < 10; k++) {
            EXPECT(strstr(picture, shown[k]), "%s lacks %s", names[i], shown[k]);
        }
        free(picture);
    }
}

/* A title of several strings, as one with a quote is, has no macros either. */
static void quoted_baseline(void)
{
    if (!plotted_have_gnuplot()) return;
    static const fake_variant two[] = {{"it's @x", 0, 0.001, 842000, 51234, NULL, false},
                                       {"b", 0.1, 0.001, 842000, 51234, NULL, false}};
    fake_experiment x = {test_folder(), "memory", 2, 2, 4, two};
    plot_report r;
    err e = {0};
    fake_write(&x);
    EXPECT(plotted(&r, &x, true, &e), "%s", e.text);
    char *picture = plotted_content(&r, "differences.svg");
    EXPECT(picture && strstr(picture, "than 'it's @x', and how surely?"), "title");
    free(picture);
}

/* Nothing drawn for what is not there yet, and said so. */
static void unfinished(void)
{
    if (!plotted_have_gnuplot()) return;
    static const fake_variant none[] = {{"a", 0, 0, 1, 1, "planned", false},
                                        {"b", 0, 0, 1, 1, "planned", false}};
    fake_experiment x = {test_folder(), "memory", 1, 1, 1, none};
    plot_report r;
    err e = {0};
    fake_write(&x); /* one variant, one logged step */
    EXPECT(plotted(&r, &x, false, &e), "%s", e.text);
    EXPECT(r.count > 0 && strstr(r.note, "no differences"), "%d files: %s", r.count, r.note);
    char runs[FILE_PATH_BYTES];
    snprintf(runs, sizeof runs, "%s/runs", x.out);
    EXPECT(file_remove_tree(runs, &e), "%s", e.text);
    collect_report c;
    EXPECT(collect(&c, x.out, true, &e) && plotted(&r, &x, false, &e), "%s", e.text);
    EXPECT(r.count == 0 && strstr(r.note, "no loss curves"), "%d files: %s", r.count, r.note);
}

/* Each variant at its best: its curves are those of the chosen rate; all rates tried are drawn. */
static void tuned(void)
{
    if (!plotted_have_gnuplot()) return;
    static const fake_variant own[] = {{"short 1e-3", 0, 0.001, 842000, 51234, NULL, false},
                                       {"short 3e-3", -0.1, 0.001, 842000, 51234, NULL, false},
                                       {"long 1e-3", -0.05, 0.001, 842000, 25617, NULL, false},
                                       {"long 3e-3", 0.04, 0.001, 842000, 25617, NULL, false}};
    fake_experiment x = {test_folder(), "memory", 4, 2, 6, own};
    plot_report r;
    err e = {0};
    fake_write(&x);
    fake_axes(&x);
    EXPECT(plotted_chosen(&r, &x, &(compare_options){.tune = "lr"}, true, &e), "%s", e.text);
    char *loss = plotted_content(&r, "loss-time.gp"), *axis = plotted_content(&r, "axis-lr.gp");
    EXPECT(loss &&
               strstr(loss, "title 'memory: lr tuned on validation: training loss: what learns "
                            "fastest by the clock?'") &&
               strstr(loss, "title 'short (n = 2)'") && strstr(loss, "title 'long (n = 2)'"),
           "%s", loss);
    EXPECT(axis && strstr(axis, "title 'memory: validation split: which optimizer.lr is best") &&
               strstr(axis, "\n0.003 "),
           "%s", axis);
    free(loss);
    free(axis);
}

/* Of two runs whose third and first experts have most: sorted before they are averaged, and
 * relative to equal shares. Variants beyond the seventh colour go to a second picture. */
static void routing(void)
{
    if (!plotted_have_gnuplot()) return;
    fake_variant many[8];
    for (int i = 0; i < 8; i++) {
        static const char *const labels[] = {"a", "b", "c", "d", "e", "f", "g", "h"};
        many[i] = (fake_variant){labels[i], 0, 0.01, 842000, 50000, NULL, false};
    }
    fake_experiment x = {test_folder(), "routed", 8, 2, 2, many};
    fake_write(&x);
    static const int routed[] = {0, 7};
    for (int i = 0; i < 2; i++) {
        fake_append(&x, routed[i], 1, "metrics.jsonl",
                    "{\"step\":20,\"tokens\":9,\"seconds\":1,\"layers\":{\"blocks.0.hash_ffn\":"
                    "{\"load.0\":0.2,\"load.1\":0.2,\"load.2\":0.6,\"dropped\":0.25}}}\n");
        fake_append(&x, routed[i], 2, "metrics.jsonl",
                    "{\"step\":20,\"tokens\":9,\"seconds\":1,\"layers\":{\"blocks.0.hash_ffn\":"
                    "{\"load.0\":0.8,\"load.1\":0.1,\"load.2\":0.1,\"dropped\":0.75}}}\n");
        fake_append(&x, routed[i], 1, "evals.jsonl",
                    "{\"eval\":\"e\",\"step\":10,\"tokens_seen\":5,\"split\":\"validation\","
                    "\"nats\":1,\"tokens\":1,\"layers\":{\"blocks.0.hash_ffn\":"
                    "{\"changed\":0.5,\"sampled\":64}}}\n");
    }
    plot_report r;
    err e = {0};
    EXPECT(plotted(&r, &x, true, &e), "%s", e.text);
    char *load = plotted_content(&r, "expert-load.gp"),
         *second = plotted_content(&r, "expert-load-2.gp");
    EXPECT(load && strstr(load, "0.166666667 2.1 1.8 2.4\n0.5 0.45 0.3 0.6\n"), "%s", load);
    EXPECT(second && strstr(second, "title 'h'") && !strstr(second, "title 'a'"), "second picture");
    free(load);
    free(second);
    char *dropped = plotted_content(&r, "expert-dropped.svg");
    char *changed = plotted_content(&r, "routing-changed.gp");
    EXPECT(dropped && strstr(dropped, "how many tokens do full experts drop?"), "no title");
    EXPECT(changed && strstr(changed, "\n0.005 50 50 50\n"), "%s", changed);
    free(dropped);
    free(changed);
}

/* What looks at the answer would flatten all other gains; among the differences it stands. */
static void oracle(void)
{
    if (!plotted_have_gnuplot()) return;
    static const fake_variant variants[] = {{"short", 0, 0.001, 842000, 51234, NULL, false},
                                            {"long", -0.04, 0.002, 842000, 40321, NULL, false},
                                            {"peek (oracle)", -2, 0.01, 842000, 1, NULL, false}};
    fake_experiment x = {test_folder(), "memory", 3, 3, 20, variants};
    plot_report r;
    err e = {0};
    fake_write_sliced(&x);
    EXPECT(plotted(&r, &x, true, &e), "%s", e.text);
    char *gain = plotted_content(&r, "gain-frequency.gp"),
         *all = plotted_content(&r, "differences.gp");
    EXPECT(gain && strstr(gain, "'long (n = 3)'") && !strstr(gain, "peek") &&
               strstr(gain, "Oracles: not drawn."),
           "%s", gain);
    EXPECT(all && strstr(all, "peek") && strstr(all, "set xtics 0.5\n"), "%s", all);
    free(gain);
    free(all);
}

/* Any figure of layers or of the trainer by its name; one that nobody logged is said to be none. */
static void figure(void)
{
    if (!plotted_have_gnuplot()) return;
    fake_experiment x = {test_folder(), "memory", 2, 2, 4, VARIANTS};
    plot_report r;
    err e = {0}, note = {0};
    fake_write(&x);
    store *s = collect_and_open(x.out, &note, &e);
    arena *a = arena_new(0);
    const comparison *c = s ? compare_load(a, s, x.name, &(compare_options){0}, &e) : NULL;
    const plot_how how = {x.out, true, false};
    EXPECT(c && plot_figure(&r, s, c, "grad_norm", &how, &e) && r.count == 1, "%s", e.text);
    char *trainer = plotted_content(&r, "figure-grad_norm.gp");
    EXPECT(trainer && strstr(trainer, "\n20.48 0.5 0.5 0.5\n") && strstr(trainer, "'short'"), "%s",
           trainer);
    EXPECT(c && plot_figure(&r, s, c, "sparsity", &how, &e), "%s", e.text);
    EXPECT(c && !plot_figure(&r, s, c, "nix", &how, &e) && strstr(e.text, "'nix'"), "%s", e.text);
    free(trainer);
    arena_free(a);
    store_close(s);
}

/* A grid has a colour for each value of one axis and dashes for each of the other. */
static void grid(void)
{
    if (!plotted_have_gnuplot()) return;
    static const fake_variant own[] = {{"short 1e-3", 0, 0.001, 842000, 51234, NULL, false},
                                       {"short 3e-3", -0.1, 0.001, 842000, 51234, NULL, false},
                                       {"short 1e-2", -0.1, 0.001, 842000, 51234, NULL, false},
                                       {"long 1e-3", -0.05, 0.001, 842000, 25617, NULL, false},
                                       {"long 3e-3", 0.04, 0.001, 842000, 25617, NULL, false},
                                       {"long 1e-2", 0.04, 0.001, 842000, 25617, NULL, false}};
    fake_experiment x = {test_folder(), "memory", 6, 2, 6, own};
    plot_report r;
    err e = {0};
    fake_write(&x);
    fake_axes(&x);
    EXPECT(plotted(&r, &x, true, &e), "%s", e.text);
    char *loss = plotted_content(&r, "loss-tokens.gp");
    static const char *const lines[] = {"$series0 using 1:2 with lines linecolor 1 dashtype 1",
                                        "linecolor 2 dashtype 1 linewidth 1.6 title 'short 3e-3",
                                        "linecolor 1 dashtype 2 linewidth 1.6 title 'long 1e-3",
                                        "linecolor 3 dashtype 2 linewidth 1.6 title 'long 1e-2"};
    for (int i = 0; i < 4; i++) {
        EXPECT(loss && strstr(loss, lines[i]), "no %s", lines[i]);
    }
    free(loss);
}

/* Unless all are asked for there are ten pictures, and the others are named. */
static void first_ten(void)
{
    if (!plotted_have_gnuplot()) return;
    fake_experiment x = {test_folder(), "memory", 9, 3, 6, PLOTTED_MANY};
    plot_report r;
    err e = {0}, note = {0};
    fake_write_sliced(&x);
    fake_axes(&x);
    store *s = collect_and_open(x.out, &note, &e);
    arena *a = arena_new(0);
    const comparison *c = s ? compare_load(a, s, x.name, &(compare_options){0}, &e) : NULL;
    const claims *stated = c ? claims_load(a, s, x.name, &e) : NULL;
    EXPECT(stated && plot_experiment(&r, s, c, stated, &(plot_how){x.out, true, false}, &e), "%s",
           e.text);
    EXPECT(r.count == 10 &&
               strstr(r.note, "--all draws further pictures: cost-speed, cost-params, "),
           "%d: %s", r.count, r.note);
    arena_free(a);
    store_close(s);
}

/* Evaluations on the way make a course; one that was done otherwise is no part of it. */
static void validation(void)
{
    if (!plotted_have_gnuplot()) return;
    fake_experiment x = {test_folder(), "memory", 1, 1, 6, VARIANTS};
    plot_report r;
    err e = {0};
    fake_write(&x);
    EXPECT(plotted(&r, &x, true, &e), "%s", e.text);
    char path[FILE_PATH_BYTES];
    EXPECT(file_join(path, r.folder, "validation-tokens.gp", &e) && !file_exists(path),
           "the end alone is drawn");
    EXPECT(strstr(r.note, "there is one variant: no differences"), "%s", r.note);
    static const char way[] = "{\"eval\":\"%c\",\"step\":100,\"tokens_seen\":5000,\"split\":"
                              "\"validation\",\"nats\":1386.29436111989,"
                              "\"tokens\":1000,\"bytes\":1000,\"protocol\":{\"context\":%d,"
                              "\"memory\":\"carried state, reset at "
                              "documents\",\"start\":\"learned vector, first token "
                              "counted\",\"data\":\"abcdef0123456789\"}}\n";
    char line[600];
    snprintf(line, sizeof line, way, 'a', 256);
    fake_append(&x, 0, 1, "evals.jsonl", line);
    snprintf(line, sizeof line, way, 'b', 8);
    fake_append(&x, 0, 1, "evals.jsonl", line);
    EXPECT(plotted(&r, &x, true, &e), "%s", e.text);
    char *script = plotted_content(&r, "validation-tokens.gp");
    EXPECT(script && strstr(script, "\n5 2 2 2 1\n"), "the evaluation on the way");
    EXPECT(script && strstr(script, "validation loss: what learns most"), "title");
    EXPECT(script && !strstr(script, "set logscale"), "one decade on a logarithmic axis");
    free(script);
    /* Evaluated anew by another protocol the course stays that of the most steps. */
    static const char anew[] = "{\"eval\":\"n\",\"step\":60,\"tokens_seen\":6000,\"split\":"
                               "\"validation\",\"final\":true,\"nats\":9,\"tokens\":1000,"
                               "\"bytes\":1000,\"protocol\":{\"rows\":3}}\n";
    fake_append(&x, 0, 1, "evals.jsonl", anew);
    EXPECT(plotted(&r, &x, true, &e), "%s", e.text);
    script = plotted_content(&r, "validation-tokens.gp");
    EXPECT(script && strstr(script, "\n5 2 2 2 1\n") && !strstr(script, "0.0129"), "%s", script);
    free(script);
}

/* Drawn again, a folder has no pictures of another choice of variants; other files stay. */
static void cleared(void)
{
    static const char ours[] = "# Made by loci plot. To draw", other[] = "plot sin(x)";
    static const struct {
        const char *name, *text;
        bool stays;
    } files[] = {{"loss.gp", ours, false}, {"loss.svg", "", false},
                 {"loss.png", "", false},  {"figure-grad_norm.gp", ours, true},
                 {"mine.gp", other, true}, {"mine.svg", "", true}};
    char path[FILE_PATH_BYTES];
    err e = {0};
    for (int i = 0; i < 6; i++) {
        EXPECT(file_join(path, test_folder(), files[i].name, &e) &&
                   file_write(path, files[i].text, strlen(files[i].text), &e),
               "%s", e.text);
    }
    EXPECT(plot_clear(test_folder(), &e), "%s", e.text);
    for (int i = 0; i < 6; i++) {
        EXPECT(file_join(path, test_folder(), files[i].name, &e) &&
                   file_exists(path) == files[i].stays,
               "%s", files[i].name);
    }
    EXPECT(file_join(path, test_folder(), "nowhere", &e) && plot_clear(path, &e), "%s", e.text);
}

static void no_gnuplot(void)
{
    fake_experiment x = {test_folder(), "memory", 2, 2, 5, VARIANTS};
    plot_report r;
    err e = {0};
    fake_write(&x);
    char *before = strdup(getenv("PATH"));
    setenv("PATH", test_folder(), 1);
    EXPECT(!plotted(&r, &x, false, &e) && strstr(e.text, "gnuplot-nox"), "%s", e.text);
    setenv("PATH", before, 1); /* whose programs later cases use */
    free(before);
}

const test_suite test_plot = {"results/plot",
                              {{"pictures", pictures},
                               {"odd_labels", odd_labels},
                               {"quoted_baseline", quoted_baseline},
                               {"unfinished", unfinished},
                               {"tuned", tuned},
                               {"routing", routing},
                               {"oracle", oracle},
                               {"figure", figure},
                               {"cleared", cleared},
                               {"grid", grid},
                               {"first_ten", first_ten},
                               {"validation", validation},
                               {"no_gnuplot", no_gnuplot},
                               {0}}};
