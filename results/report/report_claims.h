/* What an experiment claimed and what became of it, first thing on its page. */
#pragma once

#include <stdio.h>

#include "results/compare/compare.h"

/* Nothing where it claims nothing. False and e if the database cannot be read. */
bool report_claims(FILE *out, arena *a, store *s, const char *experiment, err *e);
