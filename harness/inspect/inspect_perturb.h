/* Coefficients of prefixes that lose one of their tokens. */
#ifndef LOCI_HARNESS_INSPECT_PERTURB_H
#define LOCI_HARNESS_INSPECT_PERTURB_H

#include "harness/inspect/inspection.h"

bool inspect_perturb(inspection *x, err *e);

#endif
