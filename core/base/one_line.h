/* What is said about a stranger's words is one line: a newline in a name or a value would make a
 * line of its own, which could pass for another message of the program. */
#pragma once

#include <stddef.h>
#include <stdio.h>

/* The text [bytes] with pictures (U+2400 + c) in place of its control characters, but of tabs; what
 * no longer fits is cut. */
void one_line(char *text, size_t bytes);

/* Prints one line and its end, whatever the values hold. For messages that name what others have
 * named: files, folders, labels, words of the command line. */
void one_line_print(FILE *out, const char *format, ...) __attribute__((format(printf, 2, 3)));
