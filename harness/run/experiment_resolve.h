/* Opens an experiment: every corpus and model once, each option checked, each run with its cost and
 * its identity. */
#pragma once

#include "harness/run/experiment.h"

/* Completes every run, or fails with the place of what is wrong. A run that starts from a variant
 * of the sweep gets that variant's run of the same seed as its source; every run's source stands
 * before it or not, the supervisor orders them. A variant that turns out to say the same as an
 * earlier one is dropped. Corpora that runs share are opened once, and closed again. */
bool experiment_resolve(experiment *x, const corpus_places *places, err *e);
