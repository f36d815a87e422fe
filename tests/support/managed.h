/* Folders of results to be kept, renamed, removed and brought together. */
#pragma once

#include "tests/support/fake_results.h"

/* `short` and `long`. */
extern const fake_variant MANAGED[2];

/* An experiment of two seeds of each. */
void managed_write(const char *out, const char *name);

/* So many experiments and runs are what the database holds after it was made again. */
void managed_expect(const char *what, const char *out, int experiments, int runs);
