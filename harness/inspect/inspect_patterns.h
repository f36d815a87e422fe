/* What triggers have in common. */
#ifndef LOCI_HARNESS_INSPECT_PATTERNS_H
#define LOCI_HARNESS_INSPECT_PATTERNS_H

#include "harness/inspect/inspection.h"

bool inspect_patterns(inspection *x, err *e);

#endif
