/* The index beside a file of ids as Megatron-LM's data sets have it: NAME.bin holds the ids,
 * NAME.idx says how wide they are and where sequences and documents begin.
 *
 *   "MMIDIDX\0\0", uint64 version (1), uint8 type, uint64 sequences, uint64 bounds,
 *   int32 length[sequences], int64 offset[sequences] in bytes, int64 bound[bounds]
 *
 * bound[i] is the first sequence of document i, the last bound the number of sequences.
 * Little-endian. */
#pragma once

#include "core/base/arena.h"
#include "data/token_type.h"

typedef struct megatron_index {
    token_type type;
    int64_t documents, tokens;
    int64_t *ends; /* [documents] tokens up to the end of each, in the arena */
} megatron_index;

/* `bytes` is the index, `name` its name for messages, `data_bytes` the size of the file of ids,
 * which the index has to cover without holes. */
bool megatron_parse(megatron_index *x, const unsigned char *data, size_t bytes, int64_t data_bytes,
                    const char *name, arena *a, err *e);
