/* The figures of an inspection. */
#ifndef LOCI_HARNESS_INSPECT_FIGURES_H
#define LOCI_HARNESS_INSPECT_FIGURES_H

#include "harness/inspect/inspection.h"

/* Of the parts that were made. */
bool inspect_figures(inspection *x, err *e);

#endif
