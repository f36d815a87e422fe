#include "core/base/sha256.h"

/* An empty file is mapped nowhere: with no bytes the pointer is not looked at. */
void sha256_add(sha256 *s, const void *data, size_t bytes)
{
    if (bytes > 0) sha256_update(s, bytes, data);
}

void sha256_final_hex(sha256 *s, char hex[SHA256_HEX])
{
    static const char DIGITS[] = "0123456789abcdef";
    unsigned char digest[SHA256_DIGEST_SIZE];
    sha256_digest(s, sizeof digest, digest);
    for (size_t i = 0; i < sizeof digest; i++) {
        hex[2 * i] = DIGITS[digest[i] >> 4];
        hex[2 * i + 1] = DIGITS[digest[i] & 15];
    }
    hex[2 * sizeof digest] = '\0';
}

void sha256_hex(char hex[SHA256_HEX], const void *data, size_t bytes)
{
    sha256 s;
    sha256_init(&s);
    sha256_add(&s, data, bytes);
    sha256_final_hex(&s, hex);
}
