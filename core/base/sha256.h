/* SHA-256 (FIPS 180-4): identities of runs, checksums of files. The work is libnettle's, which
 * takes the processor's instructions for it where there are any; sha256_init(&s) is its own. */
#pragma once

#include <nettle/sha2.h>

#include "core/base/base.h"

enum { SHA256_HEX = 2 * SHA256_DIGEST_SIZE + 1 /* with the NUL */ };

typedef struct sha256_ctx sha256;

/* data may be NULL if bytes is 0. */
void sha256_add(sha256 *s, const void *data, size_t bytes);
/* The digest in lower-case hexadecimal digits; s is then as after sha256_init. */
void sha256_final_hex(sha256 *s, char hex[SHA256_HEX]);

void sha256_hex(char hex[SHA256_HEX], const void *data, size_t bytes);
