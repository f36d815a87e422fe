/* Everything that reads results from a database, for fuzz targets: what it prints goes nowhere. */
#pragma once

#include "results/store/store.h"

/* Tables, comparisons, run views, status, exports and the report page of an experiment. */
void reading_all(store *s, const char *experiment);
