/* What the figures of an inspection say, in words: for the page. */
#pragma once

#include "harness/inspect/inspection.h"

/* A sentence without its full stop; "": the name is unknown. Figures of states are called
 * WHAT_FIGURE, after what is exchanged. */
const char *figure_words(int part, const char *name);
