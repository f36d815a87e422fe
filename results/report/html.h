/* Pieces of a page of HTML. */
#pragma once

#include <stdio.h>

#include "results/table/table.h"

/* Text for HTML: < > & " are escaped. */
void html_text(FILE *out, const char *text);
/* <name class="class">text</name>; class "": none. */
void html_element(FILE *out, const char *name, const char *class, const char *text);
/* The columns for people, with what the page's script sorts by. mark: a class for each row, or
 * NULL. */
void html_table(FILE *out, const table *t, const char *const *mark);
