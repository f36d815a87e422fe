/* Samples prefixes and reads the stream there: one pass. */
#pragma once

#include "harness/inspect/inspection.h"

bool inspect_samples(inspection *x, err *e);
