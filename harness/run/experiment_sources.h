/* What runs start from that an experiment does not train itself. */
#pragma once

#include "harness/run/experiment.h"

/* Whether each `init_from: {run: ID}` names a run that the results in `out` have a model of, or one
 * of the experiment. False and e, with the place in the spec: its runs would fail, each by itself.
 * Of a finished run nothing is asked. */
bool experiment_sources_there(const experiment *x, const char *out, err *e);
