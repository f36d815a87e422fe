/* Sweeps that a slip of the pen, or a stranger, makes large: what is multiplied out takes no time
 * and memory to speak of, and what no machine would train is refused. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/text.h"
#include "core/options/node.h"
#include "harness/run/experiment.h"
#include "harness/spec/sweep.h"
#include "tests/support/corpora.h"
#include "tests/support/sanitized.h"
#include "tests/test.h"

/* A grid of two axes of so many values. */
static void put_grid(FILE *out, int side)
{
    static const char *const AXES[] = {"optimizer.lr", "optimizer.eps"};
    fputs("grid:\n", out);
    for (int k = 0; k < 2; k++) {
        fprintf(out, "  %s: [", AXES[k]);
        for (int i = 0; i < side; i++)
            fprintf(out, "%s%d", i ? ", " : "", i);
        fputs("]\n", out);
    }
}

static sweep *expand(arena *a, const char *text, err *e)
{
    node *n = node_parse(a, text, strlen(text), "s.yaml", e);
    return n ? sweep_expand(a, n, "test", e) : NULL;
}

/* A half of a grid is taken out, an exclusion for each combination: each is asked of few. */
static void many_exclusions(void)
{
    enum { SIDE = 150 };
    arena *a = arena_new(0);
    text_memory m;
    err e = {0};
    FILE *out = text_begin(&m);
    put_grid(out, SIDE);
    fputs("exclude:\n", out);
    for (int i = 0; i < SIDE * SIDE / 2; i++)
        fprintf(out, "  - {lr: %d, eps: %d}\n", i / SIDE, i % SIDE);
    text_auto *text = text_end(&m);
    clock_t from = clock(); /* of this process: neighbours do not count */
    sweep *s = expand(a, text, &e);
    double seconds = (double)(clock() - from) / CLOCKS_PER_SEC;
    EXPECT(s && s->variant_count == SIDE * SIDE / 2, "%s", s ? "others are left" : e.text);
    EXPECT(test_emulated() || SANITIZED || seconds < 2, "%.2f s", seconds);
    arena_free(a);
}

static void too_many_variants(void)
{
    arena *a = arena_new(0);
    text_memory m;
    err e = {0};
    FILE *out = text_begin(&m);
    put_grid(out, 400);
    text_auto *text = text_end(&m);
    EXPECT(!expand(a, text, &e) && strstr(e.text, "more than 100,000 variants"), "%s", e.text);
    arena_free(a);
}

/* Before a corpus is opened or a spec is made of any of them. */
static void too_many_for_an_experiment(void)
{
    static const struct {
        int side, seeds;
        const char *words;
    } cases[] = {{142, 1, "20164 variants; an experiment has at most 20,000"},
                 {141, 20, "397620 runs; an experiment has at most 200,000"},
                 {141, 1, NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        text_memory m;
        err e = {0};
        FILE *out = text_begin(&m);
        fprintf(out, "sweep:\n  seeds: %d\n  ", cases[i].seeds);
        text_memory inner;
        FILE *grid = text_begin(&inner);
        put_grid(grid, cases[i].side);
        text_auto *lines = text_end(&inner);
        for (const char *c = lines; *c; c++) {
            fputc(*c, out);
            if (*c == '\n' && c[1]) fputs("  ", out);
        }
        text_auto *text = text_end(&m);
        corpora_write("x.yaml", text, -1);
        experiment *x = experiment_load(test_inside("x.yaml"), NULL, &e);
        EXPECT(!x == (cases[i].words != NULL), "%d: %s", cases[i].side, e.text);
        EXPECT(!cases[i].words || strstr(e.text, cases[i].words), "%s", e.text);
        experiment_free(x);
    }
}

const test_suite test_sweep_sizes = {"harness/sweep_sizes",
                                     {{"many exclusions", many_exclusions},
                                      {"too many variants", too_many_variants},
                                      {"too many for an experiment", too_many_for_an_experiment},
                                      {0}}};
