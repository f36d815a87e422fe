/* The runs of an experiment whose variants are resolved: all seeds, without repetitions, each with
 * the run that it starts from. */
#pragma once

#include "harness/run/experiment.h"

/* Gives the runs of further seeds what the first seed's found, and drops variants that say the same
 * as an earlier one. Until here the first seed's runs stand at their variants' indexes. */
void experiment_runs_complete(experiment *x);

/* How many variants are left. */
int experiment_runs_variants(const experiment *x);

/* Those of its runs that belong to the first seeds[k] seeds of the variant of its k-th run; k
 * counts to experiment_runs_variants. Lives as long as x, from which it borrows. */
const experiment *experiment_runs_part(const experiment *x, const int *seeds);
