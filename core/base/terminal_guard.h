/* What the program prints may hold a stranger's words: labels, notes, reasons, names of files. On a
 * terminal, or on the way to one, a control character among them could move the cursor over other
 * lines, set titles or answer in the user's place. So all of stdout and stderr goes through one
 * guard, which shows such characters instead of passing them on; the program's own sequences are
 * sent past it. */
#pragma once

#include <stdio.h>

/* From now on stdout and stderr pass \n, \t and, where no terminal is, \r; other control
 * characters become their pictures (ESC: U+241B), those of C1 and marks that turn the direction of
 * a line U+FFFD. Needs glibc's streams; with another C library nothing is guarded. */
void terminal_guard(void);

/* A sequence of the program's own, before what is printed next. */
void terminal_control(FILE *out, const char *sequence);

/* errno of the first of what could not be written to a guarded stream, which the stream itself
 * tells to nobody but who flushed it; 0: all could, or it is not guarded. */
int terminal_failed(FILE *out);

/* The descriptor behind a stream, guarded or not; -1: none. */
int terminal_file(FILE *out);
