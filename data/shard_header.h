/* Where the ids of a file lie and how wide they are, from its first bytes:
 *
 *   llm.c .bin   int32 header[256]: 20240520, 1, tokens, 0...; then uint16 ids
 *                                   20240801, 7, tokens, 0...; then uint32 ids
 *   NumPy .npy   "\x93NUMPY", version, the description of one row of integers; then these (npy.h)
 *   raw          ids from the first byte on (nanoGPT: uint16): nothing in the file says how wide
 * All little-endian. Files that are known to be something else are refused by name. */
#pragma once

#include "data/token_type.h"

/* The kinds that are written. */
typedef enum shard_format {
    SHARDS_LLMC,   /* uint16, or uint32 for vocab > 65536 */
    SHARDS_NANOGPT /* raw uint16; vocab <= 65536 */
} shard_format;

/* As much of the beginning as is looked at. */
enum { SHARD_HEADER_BYTES = 1024, SHARD_START_BYTES = 4096 };

typedef struct shard_header {
    token_type type; /* never AUTO */
    int64_t offset;  /* of the first id */
    int64_t tokens;
} shard_header;

/* From the first bytes of a file (`known` of them, at most SHARD_START_BYTES) and its size.
 * `type` is what the user says: a header that says otherwise is an error. Raw files of type AUTO
 * are taken for uint16 and refused where they look like anything else. */
bool shard_header_parse(shard_header *h, token_type type, const unsigned char *start, size_t known,
                        int64_t file_bytes, const char *name, err *e);
bool shard_header_read(shard_header *h, token_type type, const char *path, err *e);
/* A file that a corpus.json describes: what has no header is uint16, whatever it looks like. */
bool shard_header_read_described(shard_header *h, const char *path, err *e);
