/* Two experiments side by side. */
#pragma once

#include "results/compare/compare.h"
#include "results/table/table.h"

/* The variants of both that are called alike, or, if none are, all: what each reaches, and the
 * difference, paired by seed, with what it is of and whether both were scored alike. *marked: one
 * is, as the better. */
table *compare_side(bool *marked, arena *a, const comparison *x, const comparison *y);

/* Of all that stands beside each other: was it evaluated under one protocol? */
bool compare_side_alike(const comparison *x, const comparison *y);
