/* Values and their agreement with keys. */
#ifndef LOCI_HARNESS_INSPECT_VALUES_H
#define LOCI_HARNESS_INSPECT_VALUES_H

#include "harness/inspect/inspection.h"

/* Needs inspect_keys. */
void inspect_values(inspection *x);

#endif
