/* Large pages: where a step walks through megabytes, every fourth kilobyte would need its address
 * looked up. */
#pragma once

#include <stddef.h>

enum { PAGES_LARGE = 2 << 20 };

/* What to map for so many bytes: a whole number of large pages if there are a few, so that the
 * kernel places them at the boundary of one. */
size_t pages_round(size_t bytes);

/* Asks the kernel for large pages there; mappings that are too small for them stay as they are, and
 * so does all memory where the machine has none. */
void pages_ask(void *memory, size_t bytes);
