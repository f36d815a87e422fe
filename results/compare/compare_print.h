/* A comparison as people and programs read it. */
#pragma once

#include "results/compare/compare.h"
#include "results/table/table.h"

/* The table with protocol, verdicts in words and the reasons of failures below it (text, Markdown);
 * for CSV and LaTeX the rows alone; for JSON an object with everything. */
void compare_print(FILE *out, const comparison *c, table_format format, bool colour);
