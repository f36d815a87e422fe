#include "tests/fuzz/header_mutator.h"

#include <string.h>

enum { LENGTH_BYTES = 8, MAX_HEADER = 1 << 16 };

size_t header_mutate(uint8_t *data, size_t size, size_t max, unsigned seed, const yaml_words *words)
{
    static uint8_t copy[MAX_HEADER];
    uint64_t n = 0;
    if (size < LENGTH_BYTES) return 0;
    memcpy(&n, data, LENGTH_BYTES);
    if (n == 0 || n > size - LENGTH_BYTES || n > MAX_HEADER) return 0;
    size_t rest = size - LENGTH_BYTES - n;
    if (max < LENGTH_BYTES + rest) return 0;
    memcpy(copy, data + LENGTH_BYTES, n);
    size_t room = MIN((size_t)MAX_HEADER, max - LENGTH_BYTES - rest);
    uint64_t got = yaml_mutate(copy, n, room, seed, true, words);
    if (got == 0) return 0;
    memmove(data + LENGTH_BYTES + got, data + LENGTH_BYTES + n, rest);
    memcpy(data + LENGTH_BYTES, copy, got);
    memcpy(data, &got, LENGTH_BYTES);
    return LENGTH_BYTES + got + rest;
}
