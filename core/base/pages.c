#include "core/base/pages.h"

#include <sys/mman.h>

/* A translation buffer holds some thousand addresses; with pages of 4 KiB that is a few megabytes,
 * and a step that walks through a model's weights misses it all the time. A page of 2 MiB covers
 * 512 times as much. The kernel gives such pages only to ranges that contain whole, aligned ones,
 * and, where it is set to `madvise`, only to who asks.
 *
 * The price is memory: a range that is touched in one place is backed by 2 MiB there. Hence small
 * mappings are left alone, and what is rounded up grows by less than a half. */

/* From here on a mapping is made a whole number of pages, so that the kernel places it at the
 * boundary of one. Between one page and that it is not rounded: a page that happens to lie whole in
 * it may be a large one. */
static const size_t LEAST = 2 * (size_t)PAGES_LARGE;

static size_t rounded(size_t bytes)
{
    const size_t page = PAGES_LARGE;
    return bytes < LEAST ? bytes : (bytes + page - 1) / page * page;
}

/* Mappings that are too small for large pages stay as they are, and so does all memory where the
 * machine has none: a refusal changes nothing but speed. */
static void ask_for_large(void *memory, size_t bytes)
{
#ifdef MADV_HUGEPAGE
    if (bytes >= PAGES_LARGE) madvise(memory, bytes, MADV_HUGEPAGE);
#else
    (void)memory, (void)bytes;
#endif
}

void *pages_map(size_t *bytes, pages_promise promise)
{
    const int flags =
        MAP_PRIVATE | MAP_ANONYMOUS | (promise == PAGES_AS_TOUCHED ? MAP_NORESERVE : 0);
    *bytes = rounded(*bytes);
    void *memory = mmap(NULL, *bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (memory == MAP_FAILED) return NULL;
    ask_for_large(memory, *bytes);
    return memory;
}

void pages_unmap(void *memory, size_t bytes)
{
    if (memory) munmap(memory, bytes);
}
