#include "data/permute.h"

/* Four rounds of random functions are enough in theory for large halves; small halves need more. */
enum { ROUNDS = 8 };

static uint64_t feistel(uint64_t x, int half_bits, rng_key key)
{
    uint64_t mask = ((uint64_t)1 << half_bits) - 1;
    uint64_t left = x >> half_bits, right = x & mask;
    for (uint64_t round = 0; round < ROUNDS; round++) {
        /* Halves have at most 31 bits, so round and half share one counter. */
        uint64_t mixed = left ^ (rng_u32(key, round << 32 | right) & mask);
        left = right;
        right = mixed;
    }
    return left << half_bits | right;
}

int64_t permute(int64_t i, int64_t n, rng_key key)
{
    CHECK(i >= 0 && i < n && n < (int64_t)1 << 60, "%lld of %lld", (long long)i, (long long)n);
    int half_bits = 1;
    while ((int64_t)1 << (2 * half_bits) < n) {
        half_bits++;
    }
    uint64_t x = (uint64_t)i;
    do {
        x = feistel(x, half_bits, key); /* 4 steps on average at most: the domain is below 4 n */
    } while (x >= (uint64_t)n);
    return (int64_t)x;
}
