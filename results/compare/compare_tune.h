/* Variants at their best: of the values of a tuned axis, each gets the one that is best on
 * validation, and is reported on test. */
#pragma once

#include "results/compare/compare.h"

comparison *compare_tune(arena *a, store *s, const char *experiment, const compare_options *o,
                         err *e);
