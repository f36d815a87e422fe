/* Ids read in place from files: little-endian integers of 1, 2, 4 or 8 bytes.
 *
 * Files are read with pread through a few descriptors that are kept open, not mapped: a corpus of
 * any size costs no memory, resident pages do not grow with what was read, and a file that shrinks
 * under a running program is an error with a place where a mapping would be a SIGBUS. A call costs
 * about a microsecond. Safe to use from several threads at once. */
#pragma once

#include "core/base/arena.h"

typedef struct reader reader;

/* width: bytes per id, 1, 2, 4 or 8. Ids must be below vocab. Texts live in the arena. */
reader *reader_new(arena *a, int width, int64_t vocab);
void reader_free(reader *r);

/* Adds a file and returns its number; it is opened when first read. Equal to the file added last:
 * the same number again. */
int reader_add(reader *r, const char *path);
const char *reader_path(const reader *r, int file);
int reader_width(const reader *r);

/* ids[0..n) from the byte `offset` of the file on. An id that is not below vocab is an error. */
bool reader_ids(reader *r, int file, int64_t offset, int64_t n, int32_t *ids, err *e);
/* The largest of n ids as they lie in a file. Negative numbers are larger than any id. */
uint64_t reader_largest(const reader *r, const unsigned char *bytes, int64_t n);
/* Raw bytes. A file that ends before is an error. */
bool reader_bytes(reader *r, int file, int64_t offset, int64_t bytes, void *out, err *e);
