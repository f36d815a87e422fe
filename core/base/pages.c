#include "core/base/pages.h"

#include <sys/mman.h>

/* Below that a mapping is better off with what it touches. */
static const size_t LEAST = 2 * (size_t)PAGES_LARGE;

size_t pages_round(size_t bytes)
{
    const size_t page = PAGES_LARGE;
    return bytes < LEAST ? bytes : (bytes + page - 1) / page * page;
}

void pages_ask(void *memory, size_t bytes)
{
#ifdef MADV_HUGEPAGE
    if (bytes >= LEAST) madvise(memory, bytes, MADV_HUGEPAGE);
#else
    (void)memory, (void)bytes;
#endif
}
