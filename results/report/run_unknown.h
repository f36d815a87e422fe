/* What is said of a name that no run has. */
#pragma once

#include "results/store/store.h"

/* Fails with how far the name is right, and what was probably meant: a variant of the experiment
 * that is called nearly so, its seeds, an experiment that has such a variant. */
bool run_unknown(store *s, const char *name, err *e);
