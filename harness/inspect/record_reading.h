/* Lines about what changes while a model reads: fast weights and states. */
#ifndef LOCI_HARNESS_RECORD_READING_H
#define LOCI_HARNESS_RECORD_READING_H

#include "harness/inspect/record_lines.h"

bool record_reading_changes(record_lines *r, err *e);
bool record_reading_states(record_lines *r, err *e);

#endif
