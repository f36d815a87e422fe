/* Pieces of the page that people look at: shared by experiments/inspect_page*.c only. */
#ifndef LOCI_HARNESS_INSPECT_PAGE_H
#define LOCI_HARNESS_INSPECT_PAGE_H

#include <stdio.h>

#include "harness/inspect/inspect_parts.h"

void page_html_text(FILE *out, const char *text);
void page_html_token(FILE *out, const prefixes *p, int32_t id);
/* The end of a prefix, its last token marked; a is scratch. */
void page_html_prefix(FILE *out, const prefixes *text, int64_t token, arena *a);

/* What fast weights changed, who wrote and read states; nothing if that was not looked at
 * (inspect_page_reading.c). */
void page_reading_changes(FILE *out, const inspection *x, arena *a);
void page_reading_states(FILE *out, const inspection *x, arena *a);

#endif
