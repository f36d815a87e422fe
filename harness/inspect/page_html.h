/* Texts and tokens of a page that people look at. */
#pragma once

#include <stdio.h>

#include "harness/inspect/inspection.h"

void page_html_text(FILE *out, const char *text);
void page_html_token(FILE *out, const prefixes *p, int32_t id);
/* The end of a prefix, its last token marked; a is scratch. */
void page_html_prefix(FILE *out, const prefixes *text, int64_t token, arena *a);
