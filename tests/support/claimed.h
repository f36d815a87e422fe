/* Experiments that claim something, from their text. */
#pragma once

#include "harness/run/experiment.h"

/* Resolved, with its claims, from a file c.yaml in the test's folder: base, which ends with
 * "claims:", and then the claims. NULL and e; the caller frees. */
experiment *claimed_experiment(const char *base, const char *claims, err *e);
