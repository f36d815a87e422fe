/* Pictures of made-up results: what suites about plots begin with. */
#pragma once

#include "results/compare/compare.h"
#include "results/plot/plot.h"
#include "tests/support/fake_results.h"

/* Nine variants: panels; two axes, one with numbers: sensitivity; slices of the text. */
extern const fake_variant PLOTTED_MANY[9];

/* False, and the case is skipped, where there is none. */
bool plotted_have_gnuplot(void);

/* Collects the results and draws all pictures into OUT/plots; false and e as plot_experiment. */
bool plotted(plot_report *r, const fake_experiment *x, bool svg_only, err *e);
bool plotted_chosen(plot_report *r, const fake_experiment *x, const compare_options *how,
                    bool svg_only, err *e);

/* The text of one of its files; the caller frees. */
char *plotted_content(const plot_report *r, const char *name);
