/* The header of NumPy's .npy files (numpy.lib.format, versions 1 to 3):
 *
 *   "\x93NUMPY", major, minor, length (uint16; from version 2 on uint32), then `length` bytes:
 *   {'descr': '<u2', 'fortran_order': False, 'shape': (1000,), }
 *
 * Ids are one row of little-endian integers; anything else is refused with the reason. */
#pragma once

#include "data/token_type.h"

bool npy_is(const unsigned char *start, size_t known);

typedef struct npy_header {
    token_type type;
    int64_t offset; /* of the first number */
    int64_t count;
} npy_header;

bool npy_parse(npy_header *h, const unsigned char *start, size_t known, int64_t file_bytes,
               const char *name, err *e);
