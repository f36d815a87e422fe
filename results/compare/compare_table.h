/* A comparison as a table. */
#ifndef LOCI_RESULTS_COMPARE_TABLE_H
#define LOCI_RESULTS_COMPARE_TABLE_H

#include "results/compare/compare.h"
#include "results/table/table.h"

/* The rows, with columns for people and for programs. */
table *compare_table(arena *a, const comparison *c);

/* Digits behind the point for the metric's figures: one number for a whole column. */
int compare_table_decimals(const comparison *c, compare_metric m);

#endif
