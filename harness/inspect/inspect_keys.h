/* Triggers of all memories and what experts serve: one pass. */
#ifndef LOCI_HARNESS_INSPECT_KEYS_H
#define LOCI_HARNESS_INSPECT_KEYS_H

#include "harness/inspect/inspection.h"

bool inspect_keys(inspection *x, err *e);

#endif
