/* Text: how it ends, numbers as text, text that is printed into memory. */
#pragma once

#include <stdio.h>

#include "core/base/arena.h"

bool text_ends(const char *text, const char *end);

/* Bytes of a mark that turns the direction in which a line is shown (U+202A to U+202E, U+2066 to
 * U+2069), if the text begins with one; else 0. A stranger's word would turn the figures behind it,
 * where text is shown by what obeys such marks: pages, pictures. */
int text_turns(const char *text);

enum { TEXT_NUMBER_BYTES = 40 };
/* The shortest digits that read back as the same number, of so many and more; returns text. */
const char *text_number(char text[TEXT_NUMBER_BYTES], double x, int digits);

/* What is printed to the stream that text_begin gives is kept, until text_end closes it and returns
 * the text: the caller frees, or it lives as long as the arena. Without memory the program ends: a
 * stream of open_memstream loses what it has no room for, or all of it, and closes without a word.
 */
typedef struct text_memory {
    FILE *out;
    char *text;         /* as far as it was flushed, with an end; it moves */
    size_t bytes, room; /* of it, without its end */
} text_memory;
/* m stays where it is until text_end. ftell says how much is written. */
FILE *text_begin(text_memory *m);
char *text_end(text_memory *m);
const char *text_end_in(text_memory *m, arena *a);
