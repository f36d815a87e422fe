/* Values and their agreement with keys. */
#pragma once

#include "harness/inspect/inspection.h"

/* Needs inspect_keys. */
void inspect_values(inspection *x);
