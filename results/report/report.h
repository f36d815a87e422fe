/* One self-contained HTML page about an experiment: question, claims, verdict, health, sortable
 * table, plots, specs and their differences, provenance, the command to make it again.
 *
 * No server and no external request: pictures are inside, a small script sorts the table, and
 * without it everything can be read. Made to be read on paper and in the dark, too. Equal results
 * give equal pages. */
#pragma once

#include <stdio.h>

#include "results/claims/claims.h"
#include "results/compare/compare.h"
#include "results/plot/plot.h"

/* plots: what plot_experiment has drawn; NULL: a page without pictures. again: seconds until the
 * page asks for itself again, which says how far the runs are; 0: never. */
bool report_write(FILE *out, store *s, const comparison *c, const claims *stated,
                  const plot_report *plots, int again, err *e);
