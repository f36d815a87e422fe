/* What has to be said beside a comparison's figures: how variants were chosen and cut, and what the
 * figures leave out. */
#pragma once

#include <stdio.h>

#include "results/compare/compare.h"

/* The experiment's name, and what was chosen: "memory: test split, lr tuned on validation". */
void compare_notes_title(char text[512], const comparison *c);

/* What any view of its figures needs beside it: which evaluations they are of, and whether
 * something was chosen by the text that they are of. */
void compare_notes_chosen(FILE *out, const comparison *c);

/* A sentence a line: choice, budget, noise floor, differences by document, protocol, cautions. What
 * is a list stands behind `item`: "- " in Markdown, whose lists want an empty line around them. */
void compare_notes_print(FILE *out, const comparison *c, const char *item);
