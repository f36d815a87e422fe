/* Memory from the kernel itself, in large pages where it has them: where a step walks through
 * megabytes, every fourth kilobyte would need its address looked up. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum { PAGES_LARGE = 2 << 20 };

/* What is mapped counts as promised, touched or not; or only what is touched does, for mappings
 * that are mostly never used. */
typedef enum pages_promise { PAGES_PROMISED, PAGES_AS_TOUCHED } pages_promise;

/* Zeros that cost memory when they are first touched, for the caller to pages_unmap. *bytes, 1 or
 * more, becomes what it was rounded up to: all of it may be used. NULL where the kernel refuses;
 * *bytes is then what was asked for of it. */
void *pages_map(size_t *bytes, pages_promise promise);

/* bytes: as pages_map left them; memory may be NULL. */
void pages_unmap(void *memory, size_t bytes);
