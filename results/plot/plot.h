/* Plots of an experiment, through gnuplot, in a folder (OUT/plots/<experiment>):
 *
 *   loss-tokens   training loss against tokens     mean over seeds, bands over seeds
 *   loss-time     the same against training time
 *   loss-tokens-facets   with more than seven variants: each in a panel
 *   claims        verdicts: a row for each claim, its interval against its margin
 *   validation-tokens   loss of evaluations on the way against tokens (train.eval_every)
 *   differences   forest plot of the differences to the baseline, paired by seed
 *   cost-*        final quality against params, active (parameters), flops, speed, state
 *   gain-flops, gain-time   where a model learned while it was evaluated: gain over the baseline
 *                 against the cost of evaluation
 *   recall        of a probe: accuracy against distance
 *   axis-<AXIS>   final quality against the numbers of a swept axis (learning rate)
 *   expert-load, expert-entropy, expert-dropped    what routed layers did with the tokens: sorted
 *                 shares of the experts, evenness over training, tokens that full experts dropped
 *   routing-changed   tokens that are sent elsewhere than at the evaluation before, over training
 *   slices-position                            final loss by position in the document
 *   gain-position, gain-block, gain-frequency, gain-repetition   gain over the baseline by slices
 * of the text
 *
 * of more than COMPARE_BEST variants the best ones, each as .gp with its data inside (edit it and
 * run gnuplot on it again), .svg, .png and .pdf. The SVG depends on the data alone. What cannot be
 * drawn yet is left out and noted. */
#pragma once

#include "results/claims/claims.h"
#include "results/compare/compare.h"
#include "results/plot/gnuplot.h"
#include "results/table/table.h"

/* Makes the folder where it is missing. stated: the experiment's claims, which a report shows, too:
 * judging them takes long enough to do it once. */
bool plot_experiment(plot_report *r, store *s, const comparison *c, const claims *stated,
                     const plot_how *how, err *e);

/* Only a figure that layers or the trainer log, by its name, over training: figure-<NAME>. False
 * and e if no run has logged it. */
bool plot_figure(plot_report *r, store *s, const comparison *c, const char *figure,
                 const plot_how *how, err *e);

/* The figures that plot_figure draws of an experiment: a row each. */
bool plot_figures(table *t, store *s, const char *experiment, err *e);

/* Removes what plot_experiment drew there before: it may have drawn other variants or more. */
bool plot_clear(const char *folder, err *e);
