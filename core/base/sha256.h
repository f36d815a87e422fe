/* SHA-256 (FIPS 180-4): identities of runs, checksums of files. */
#ifndef LOCI_CORE_SHA256_H
#define LOCI_CORE_SHA256_H

#include "core/base/base.h"

enum { SHA256_BYTES = 32, SHA256_HEX = 65 /* with the NUL */ };

typedef struct sha256 {
    uint32_t state[8];
    uint64_t bytes;
    unsigned char block[64]; /* the unfinished block */
} sha256;

void sha256_init(sha256 *s);
void sha256_update(sha256 *s, const void *data, size_t bytes);
void sha256_final(sha256 *s, unsigned char digest[SHA256_BYTES]);
/* The digest in lower-case hexadecimal digits. */
void sha256_final_hex(sha256 *s, char hex[SHA256_HEX]);

void sha256_hex(char hex[SHA256_HEX], const void *data, size_t bytes);
bool sha256_file(char hex[SHA256_HEX], const char *path, err *e);

#endif
