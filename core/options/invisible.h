/* Characters that nobody sees in an editor: what looks like a space or like nothing, and is
 * neither. */
#pragma once

#include <stddef.h>

/* The first such character of UTF-8 text [bytes]: its name ("U+00A0, a no-break space") and, in
 * *at, its offset; NULL if there is none. */
const char *invisible_find(const char *text, size_t bytes, size_t *at);
