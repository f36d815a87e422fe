/* Coefficients of prefixes that lose one of their tokens. */
#pragma once

#include "harness/inspect/inspection.h"

bool inspect_perturb(inspection *x, err *e);
