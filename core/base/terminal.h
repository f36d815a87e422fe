/* Text on a terminal: how much room there is, and what a text takes of it. */
#pragma once

#include <limits.h>
#include <stdio.h>

#include "core/base/text.h"

/* Columns and rows of the terminal that the stream goes to; false if it goes to none. */
bool terminal_size(FILE *out, int *columns, int *rows);
/* Its columns, or else what a stream has that goes to none: TERMINAL_UNBROKEN where programs read
 * it line by line. */
int terminal_columns(FILE *out, int otherwise);
#define TERMINAL_UNBROKEN INT_MAX

/* Bytes of the character that UTF-8 text begins with, and its code point; 0 at the end. */
int terminal_letter(const char *text, unsigned *letter);

/* Columns that a text takes: letters of East Asia two, accents on the letter before none. */
int terminal_cells(const char *text);
/* Columns that its first bytes take. */
int terminal_cells_in(const char *text, size_t bytes);
/* Bytes at its beginning that take at most so many columns, whole letters. */
size_t terminal_bytes(const char *text, int cells);

/* Copies the text on one line (control characters as blanks) in at most so many columns, with an
 * ellipsis in its middle if it is wider: labels differ at both ends. bytes: of `out`, 16 and
 * more. */
void terminal_cut(char *out, size_t bytes, const char *text, int cells);

/* Prints words on lines of at most so many columns, lines but the first indented; `at`: columns of
 * the first line that are written already. Line breaks of the text stay. */
void terminal_wrap(FILE *out, const char *text, int at, int indent, int columns);

/* An entry of a list: what it is called, in `width` columns with the gap, and what is said of it,
 * whose lines break within `columns` below each other, or below the name where there is no room
 * beside it. */
void terminal_entry(FILE *out, const char *name, int width, const char *text, int columns);

/* Sentences on their way to `out`: on a terminal their lines break at words within its width,
 * elsewhere they stay as they are. Print to what begin returns; end hands it on. */
typedef struct terminal_prose {
    FILE *out;
    text_memory memory; /* out NULL: it goes to no terminal */
    int columns;
} terminal_prose;
FILE *terminal_prose_begin(terminal_prose *p, FILE *out);
void terminal_prose_end(terminal_prose *p);
