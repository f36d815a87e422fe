/* What triggers have in common. */
#pragma once

#include "harness/inspect/inspection.h"

bool inspect_patterns(inspection *x, err *e);
