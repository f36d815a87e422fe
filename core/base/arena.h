/* Memory of one lifetime: pushed piece by piece, given back all at once.
 *
 * An arena grows by mapped chunks and keeps them over a reset, so that a training loop maps memory
 * in its first step only. Everything pushed is 64-byte aligned and valid until the arena is reset
 * or rewound below it. Debug builds fill fresh memory with NaN bytes; ASan poisons what is given
 * back. Running out of memory here is fatal (CHECK): sizes are estimated before a run starts. */
#pragma once

#include "core/base/base.h"

typedef struct arena arena;

/* A point to rewind to. */
typedef struct arena_mark {
    void *chunk;
    size_t used;
} arena_mark;

/* chunk_bytes: what is mapped at first; 0: 8 MiB. Later chunks are as large as all before them. */
arena *arena_new(size_t chunk_bytes);
void arena_free(arena *a);
#define arena_auto arena ENDS_BY(arena_end) /* freed where its block ends */
void arena_end(arena **a);

/* count * size bytes, overflow checked, not zeroed. A count of 0 gives a valid pointer. */
void *arena_push(arena *a, int64_t count, size_t size);
void *arena_push_zero(arena *a, int64_t count, size_t size);
char *arena_strdup(arena *a, const char *text);
/* n bytes that need not end with a 0, and a 0. */
char *arena_strndup(arena *a, const char *text, size_t n);

void arena_reset(arena *a);
arena_mark arena_now(const arena *a);
void arena_rewind(arena *a, arena_mark mark);

/* Bytes in use at most, and how many times memory was mapped since the arena was made (a test wants
 * this to stop growing after the first step). */
size_t arena_bytes(const arena *a);
int64_t arena_maps(const arena *a);

#define ARENA_NEW(a, type, count) ((type *)arena_push((a), (count), sizeof(type)))
