/* A cell's text on several lines, where its column is narrower than it: nothing of it is lost. */
#pragma once

#include <stddef.h>

/* Bytes of its first line of at most so many columns: up to a blank, or behind a comma, a dot or
 * a hyphen between letters (a number is not broken: 4e-3), or, where one word is wider than that,
 * within it. At least one letter; 0 at the end. The next line begins behind table_blanks. */
size_t table_break(const char *text, int cells);
/* Bytes of blanks at its beginning. */
size_t table_blanks(const char *text);

/* Columns of the widest part that is not broken but within a word, and lines within a width. */
int table_widest_part(const char *text);
int table_break_lines(const char *text, int cells);
