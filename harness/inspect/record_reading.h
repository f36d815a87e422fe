/* Lines about what changes while a model reads: fast weights and states. */
#pragma once

#include "harness/inspect/record_lines.h"

bool record_reading_changes(record_lines *r, err *e);
bool record_reading_states(record_lines *r, err *e);
