/* Samples prefixes and reads the stream there: one pass. */
#ifndef LOCI_HARNESS_INSPECT_SAMPLES_H
#define LOCI_HARNESS_INSPECT_SAMPLES_H

#include "harness/inspect/inspection.h"

bool inspect_samples(inspection *x, err *e);

#endif
