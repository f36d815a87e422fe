/* A comparison by slices as people and programs read it. */
#pragma once

#include "results/compare/compare_slices.h"
#include "results/table/table.h"

/* For people a row per slice and a column per variant, and what it shows in words; for programs a
 * row per variant and slice. False and e: its runs have no slices. */
bool compare_slices_print(FILE *out, const comparison *c, const slice_comparison *x,
                          table_format format, bool colour, err *e);
