/* What an experiment claimed and what became of it, first thing on its page. */
#pragma once

#include <stdio.h>

#include "results/claims/claims.h"

/* Nothing where it claims nothing. a: for the table. */
void report_claims(FILE *out, arena *a, const claims *x);
