/* What an experiment claims: names resolved, figures checked against what its runs will have. */
#pragma once

#include "harness/run/experiment.h"

/* Fills x->claims of an experiment whose runs are resolved; false and the place of what is wrong.
 */
bool experiment_claims(experiment *x, err *e);

/* Prints them in words, a line for each statement. */
void experiment_claims_print(FILE *out, const experiment *x);
