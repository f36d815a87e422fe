#include "core/base/arena.h"

#include "core/base/pages.h"

#include <stdlib.h>
#include <string.h>

/* An arena is a list of mapped chunks and a point in it. Pushing moves the point forward; rewinding
 * moves it back and keeps the chunks, so that the second step of a loop finds all the memory that
 * the first one mapped, in the same order, and asks the kernel for nothing.
 *
 * One invariant carries the file: of the chunks behind `current` none holds anything (used = 0). So
 * a request looks only at the current chunk and those behind it, and a mark is two words: which
 * chunk was current and how full it was. There is no list of what was pushed, and nothing can be
 * given back alone.
 *
 * Memory is mapped, not taken from malloc: pages that are never touched cost nothing, a chunk can
 * be placed for large pages, and a heap that other threads use is not locked or split by blocks of
 * megabytes. */

#if defined(__SANITIZE_ADDRESS__)
#define ARENA_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_ASAN 1
#endif
#endif

#ifdef ARENA_ASAN
#include <sanitizer/asan_interface.h>
#define POISON(p, n)   __asan_poison_memory_region((p), (n))
#define UNPOISON(p, n) __asan_unpoison_memory_region((p), (n))
/* To poison a chunk touches an eighth of it, however little of it is used then: small ones, and
 * none larger because somebody expects to use more. */
#define USUAL_CHUNK ((size_t)64 << 10)
#define MOST_CHUNK  USUAL_CHUNK
#else
#define POISON(p, n)   ((void)(p), (void)(n))
#define UNPOISON(p, n) ((void)(p), (void)(n))
#define USUAL_CHUNK    ((size_t)8 << 20)
#define MOST_CHUNK     SIZE_MAX
#endif

/* A cache line, and the widest vector.
 * Kernels load whole vectors from the start of a tensor, and two tensors of two threads never share
 * a line. */
enum { ALIGN = 64 };

/* In front of a chunk: nothing, or its header (OWN), so that the first arrays of several arenas,
 * which are often powers of two, do not all begin at the boundary of a large page. */
enum { LEAD = ALIGN };

/* Chunks form a list in the order in which they are filled. Headers of the first OWN, of which each
 * may be as large as all before it, are the arena's: in front of its data one would touch a large
 * page of a chunk that nobody writes to, as of a memory that a model never fills. */
enum { OWN = 16 };

typedef struct chunk {
    struct chunk *next;
    char *data;      /* LEAD bytes behind the beginning of its mapping */
    size_t capacity; /* bytes of data */
    size_t used;
} chunk;

_Static_assert(sizeof(chunk) <= LEAD, "a header fits in front of its data");

struct arena {
    chunk own[OWN];
    chunk *first;
    chunk *current;
    size_t chunk_bytes;
    /* mapped_bytes: over all chunks, LEAD included; used_bytes: what is pushed at this moment,
     * rounded to ALIGN, holes at the ends of chunks not counted. */
    size_t mapped_bytes;
    size_t used_bytes, most_used_bytes;
    int64_t maps;
};

/* The capacity is what the mapping came to after rounding, not what was asked for: the rest of the
 * last large page is used as well. All of it is poisoned until it is pushed. */
static chunk *chunk_map(arena *a, size_t bytes)
{
    size_t total = bytes;
    char *mapped = pages_map(&total, PAGES_PROMISED);
    if (!mapped) return NULL;
    chunk *c = a->maps < OWN ? &a->own[a->maps] : (chunk *)mapped;
    *c = (chunk){.data = mapped + LEAD, .capacity = total - LEAD};
    a->mapped_bytes += total;
    a->maps++;
    POISON(c->data, c->capacity);
    return c;
}

/* As large as all before it, so that few chunks end in a hole that the next request does not fit
 * in; what is never touched of it costs no memory. LEAD is counted, so that chunks of a whole
 * number of large pages stay that. Where so much is refused (a limit on address space), the request
 * itself may still fit. */
static chunk *chunk_for(arena *a, size_t bytes)
{
    size_t least = MAX(LEAD + bytes, a->chunk_bytes);
    chunk *c = chunk_map(a, MAX(least, a->mapped_bytes));
    if (!c) c = chunk_map(a, least);
    CHECK(c, "out of memory: %zu bytes more than the %zu mapped", least, a->mapped_bytes);
    return c;
}

arena *arena_new(size_t chunk_bytes)
{
    arena *a = calloc(1, sizeof *a);
    CHECK(a, "out of memory for an arena's header (%zu bytes)", sizeof *a);
    a->chunk_bytes = chunk_bytes ? MIN(chunk_bytes, MOST_CHUNK) : USUAL_CHUNK;
    return a;
}

void arena_free(arena *a)
{
    if (!a) return;
    for (chunk *c = a->first, *next; c; c = next) {
        next = c->next;
        /* The shadow of an address outlives its mapping: whoever maps it next would find our
         * poison. */
        UNPOISON(c->data, c->capacity);
        pages_unmap(c->data - LEAD, LEAD + c->capacity);
    }
    free(a);
}

void arena_end(arena **a)
{
    arena_free(*a);
}

/* The chunk that holds `bytes` more: the current one, one kept from before the last reset, or a
 * freshly mapped one behind the current.
 * Chunks that are too small are passed over and stay empty until the next rewind: the same sequence
 * of requests passes over the same ones, so a loop that repeats itself maps only in its first
 * round. */
static chunk *chunk_with_room(arena *a, size_t bytes)
{
    chunk *c = a->current;
    if (c && c->capacity - c->used >= bytes) return c;
    for (chunk *next = c ? c->next : a->first; next; c = next, next = next->next) {
        if (next->capacity >= bytes) return a->current = next;
    }
    chunk *fresh = chunk_for(a, bytes);
    if (c) {
        c->next = fresh;
    } else {
        a->first = fresh;
    }
    return a->current = fresh;
}

void *arena_push(arena *a, int64_t count, size_t size)
{
    /* Half of the range, since rounding to lines, LEAD and large pages are added without a
     * further check. */
    CHECK(count >= 0 && (size == 0 || (uint64_t)count <= (SIZE_MAX / 2) / size),
          "bad size: %lld x %zu bytes", (long long)count, size);
    size_t bytes = ((size_t)count * size + ALIGN - 1) / ALIGN * ALIGN;
    chunk *c = chunk_with_room(a, bytes);
    char *p = c->data + c->used;
    c->used += bytes;
    a->used_bytes += bytes;
    a->most_used_bytes = MAX(a->most_used_bytes, a->used_bytes);
    /* Only what was asked for: ASan catches who reads on into the padding up to the next line. */
    UNPOISON(p, (size_t)count * size);
#ifdef LOCI_DEBUG
    /* NaN in floats, -1 in integers: who reads before writing notices. */
    memset(p, 0xff, (size_t)count * size);
#endif
    return p;
}

void *arena_push_zero(arena *a, int64_t count, size_t size)
{
    void *p = arena_push(a, count, size);
    /* Fresh from the kernel it would be zero, but after a reset it holds the last step's
     * numbers. */
    memset(p, 0, (size_t)count * size);
    return p;
}

char *arena_strdup(arena *a, const char *text)
{
    return arena_strndup(a, text, strlen(text));
}

char *arena_strndup(arena *a, const char *text, size_t n)
{
    char *copy = arena_push(a, (int64_t)n + 1, 1);
    memcpy(copy, text, n);
    copy[n] = 0;
    return copy;
}

void arena_reset(arena *a)
{
    arena_rewind(a, (arena_mark){NULL, 0});
}

arena_mark arena_now(const arena *a)
{
    /* Before anything was pushed the mark has no chunk; rewinding to it is the same as a reset. */
    return (arena_mark){a->current, a->current ? a->current->used : 0};
}

void arena_rewind(arena *a, arena_mark mark)
{
    /* All chunks behind the mark's, not only up to the current one: those behind are empty already,
     * and to empty them once more costs less than to know where to stop. */
    for (chunk *c = mark.chunk ? ((chunk *)mark.chunk)->next : a->first; c; c = c->next) {
        POISON(c->data, c->used);
        a->used_bytes -= c->used;
        c->used = 0;
    }
    a->current = mark.chunk;
    if (!a->current) return;
    chunk *c = a->current;
    POISON(c->data + mark.used, c->used - mark.used);
    a->used_bytes -= c->used - mark.used;
    c->used = mark.used;
}

size_t arena_bytes(const arena *a)
{
    return a->most_used_bytes;
}

int64_t arena_maps(const arena *a)
{
    return a->maps;
}
