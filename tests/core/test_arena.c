#include "core/base/arena.h"

#include "core/base/host.h"
#include "core/base/pages.h"
#include "tests/support/sanitized.h"
#include "tests/test.h"

#include <string.h>

static void reset_keeps_memory(void)
{
    arena *a = arena_new(4096);
    for (int round = 0; round < 3; round++) {
        for (int i = 1; i < 40; i++) {
            char *p = arena_push(a, i, 100);
            EXPECT((uintptr_t)p % 64 == 0, "%p", (void *)p);
            memset(p, i, (size_t)i * 100);
        }
        static int64_t maps;
        if (round == 0) maps = arena_maps(a);
        EXPECT(arena_maps(a) == maps, "%lld", (long long)arena_maps(a));
        arena_reset(a);
    }
    arena_free(a);
}

static void rewind_returns_to_the_mark(void)
{
    arena *a = arena_new(256);
    char *kept = arena_strdup(a, "kept");
    arena_mark mark = arena_now(a);
    char *first = arena_push(a, 64, 1);
    arena_push(a, 10000, 1);
    arena_rewind(a, mark);
    char *again = arena_push(a, 64, 1);
    EXPECT(first == again, "%p is not %p", (void *)first, (void *)again);
    EXPECT(strcmp(kept, "kept") == 0, "%s", kept);
    arena_free(a);
}

/* A request that does not fit in what is left maps as much as there is, not just itself. */
static void chunks_grow(void)
{
    enum { PUSHES = 64, EACH = 3000 };
    arena *a = arena_new(4096);
    for (int i = 0; i < PUSHES; i++) {
        arena_push(a, EACH, 1);
    }
    EXPECT(arena_maps(a) <= 8, "%lld mappings", (long long)arena_maps(a));
    size_t used = arena_bytes(a);
    EXPECT(used >= PUSHES * EACH && used < PUSHES * (EACH + 64), "%zu bytes", used);
    arena_reset(a);
    arena_push(a, EACH, 1);
    EXPECT(arena_bytes(a) == used, "%zu bytes at most, not %zu", arena_bytes(a), used);
    arena_free(a);
}

/* What nobody writes to costs no memory, be it in large pages: a model's memory that never fills.
 * Chunks are of a few large pages: an emulator's table of pages grows with what is mapped, 24 bytes
 * for each 4 KiB, and counts as this process's memory. */
static void untouched_is_free(void)
{
    enum { ARENAS = 32 };
    if (SANITIZED) {
        test_skip("what is poisoned is touched");
        return;
    }
    arena *a[ARENAS];
    int64_t before = host_memory_now().anon_bytes;
    for (int i = 0; i < ARENAS; i++) {
        a[i] = arena_new(4096);
        arena_push(a[i], 2 * PAGES_LARGE, 1);
        arena_push(a[i], 4 * PAGES_LARGE, 1); /* a chunk of its own */
    }
    int64_t grown = host_memory_now().anon_bytes - before;
    EXPECT(grown < 4 * PAGES_LARGE, "%lld bytes", (long long)grown);
    for (int i = 0; i < ARENAS; i++) {
        arena_free(a[i]);
    }
}

/* There with ASan only. */
int __asan_address_is_poisoned(const volatile void *p) __attribute__((weak));

/* Nothing beyond what is pushed may be read, in whatever chunk, however often it was given back. */
static void what_is_not_pushed_is_poisoned(void)
{
    if (!__asan_address_is_poisoned) {
        test_skip("built without ASan");
        return;
    }
    arena *a = arena_new(256);
    arena_push(a, 64, 1);
    arena_mark mark = arena_now(a);
    for (int i = 0; i < 3; i++) {
        char *near = arena_push(a, 70, 1), *far = arena_push(a, 100000, 1);
        EXPECT(!__asan_address_is_poisoned(near + 69) && __asan_address_is_poisoned(near + 72),
               "only what was asked for");
        EXPECT(!__asan_address_is_poisoned(far + 99999), "another chunk");
        arena_rewind(a, mark);
        EXPECT(__asan_address_is_poisoned(near) && __asan_address_is_poisoned(near + 69), "near");
        EXPECT(__asan_address_is_poisoned(far) && __asan_address_is_poisoned(far + 99999), "far");
    }
    arena_free(a);
}

const test_suite test_arena = {"core/arena",
                               {{"reset_keeps_memory", reset_keeps_memory},
                                {"rewind_returns_to_the_mark", rewind_returns_to_the_mark},
                                {"chunks_grow", chunks_grow},
                                {"untouched_is_free", untouched_is_free},
                                {"what_is_not_pushed_is_poisoned", what_is_not_pushed_is_poisoned},
                                {0}}};
