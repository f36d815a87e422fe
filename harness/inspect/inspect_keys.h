/* Triggers of all memories and what experts serve: one pass. */
#pragma once

#include "harness/inspect/inspection.h"

bool inspect_keys(inspection *x, err *e);
