/* What reads results from a database, for fuzz targets: what it prints goes nowhere. */
#pragma once

#include "results/store/store.h"

/* A number for an input, by which a target does one of several things with it; the same each time,
 * so that what is found is found again. */
unsigned reading_choice(const uint8_t *data, size_t bytes);

/* One of: a comparison, with the report page every second time; run views and status; an export. */
void reading_part(store *s, const char *experiment, unsigned part);
