/* A comparison as people and programs read it: the table and what is to be said about it. */
#pragma once

#include "results/compare/compare.h"
#include "results/table/table.h"

/* The experiment's name, and what was chosen: "memory: test split, lr tuned on validation". */
void compare_print_title(char text[512], const comparison *c);

/* The table with protocol, verdicts in words and the reasons of failures below it (text, Markdown);
 * for CSV the rows alone; for JSON an object with everything. */
bool compare_print(FILE *out, const comparison *c, table_format format, bool colour, err *e);

/* What has to be said beside the figures, a sentence a line: how variants were chosen and cut,
 * noise floor, differences by document (each behind `item`), protocol, cautions. */
void compare_print_notes(FILE *out, const comparison *c, const char *item);

/* In one sentence or two: "'long' is better than 'short' by 0.039 +- 0.005 bits per byte (...)". */
enum { COMPARE_VERDICT = 1400 };
void compare_print_verdict(char text[COMPARE_VERDICT], const comparison *c, int variant);
