/* Which font draws PNG and PDF, and whether it can. */
#pragma once

#include <stdbool.h>

/* The name of an installed font that is about as wide as Liberation Sans. missing: "" or letters of
 * the texts that no installed font has; gnuplot would draw black bars over the whole picture for
 * them. False if there are no fonts at all. */
bool plot_fonts_choose(char font[64], const char *text, const char *more, char missing[64]);
