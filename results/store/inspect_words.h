/* The figures of an inspection: which there are, and what they say. */
#pragma once

/* A sentence without its full stop; "": the part ("keys") has no such figure. Figures of states are
 * called WHAT_FIGURE, after what is exchanged. */
const char *inspect_words(const char *part, const char *name);

/* The names of a part's figures, of states their ends ("_strength"); returns how many. */
enum { INSPECT_WORDS = 32 };
int inspect_words_names(const char *names[INSPECT_WORDS], const char *part);
