/* The figures of an inspection. */
#pragma once

#include "harness/inspect/inspection.h"

/* Of the parts that were made. */
bool inspect_figures(inspection *x, err *e);
