/* A comparison as a table. */
#pragma once

#include "results/compare/compare.h"
#include "results/table/table.h"

/* The rows, with columns for people and for programs. */
table *compare_table(arena *a, const comparison *c);

/* Digits behind the point for the metric's figures: one number for a whole column. */
int compare_table_decimals(const comparison *c, compare_metric m);
