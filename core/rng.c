#include "core/rng.h"

#include <math.h>

static const double TWO_PI = 6.283185307179586476925;

uint32_t rng_place(const char *name)
{
    uint32_t hash = 2166136261u;
    for (const unsigned char *c = (const unsigned char *)name; *c; c++) {
        hash = (hash ^ *c) * 16777619u;
    }
    return hash;
}

void rng_philox(uint32_t words[4], const uint32_t counter[4], const uint32_t key[2])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++) {
        uint64_t a = (uint64_t)0xD2511F53u * c0, b = (uint64_t)0xCD9E8D57u * c2;
        uint32_t next0 = (uint32_t)(b >> 32) ^ c1 ^ k0;
        uint32_t next2 = (uint32_t)(a >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)b;
        c3 = (uint32_t)a;
        c0 = next0;
        c2 = next2;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    words[0] = c0;
    words[1] = c1;
    words[2] = c2;
    words[3] = c3;
}

/* A bijection of 64-bit words (the finaliser of splitmix64). */
static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
}

/* Philox has 128 bits of counter and 64 of key; a stream and an index are 224 bits. Step, row and
 * index are the counter; seed and place share the key: for one seed all places have different keys,
 * since an odd factor and `mix` are bijections. */
void rng_words(uint32_t words[4], rng_key key, uint64_t index)
{
    uint64_t k = mix(key.seed + 0x9E3779B97F4A7C15u * ((uint64_t)key.place + 1));
    const uint32_t counter[4] = {(uint32_t)index, (uint32_t)(index >> 32), key.row, key.step};
    const uint32_t philox_key[2] = {(uint32_t)k, (uint32_t)(k >> 32)};
    rng_philox(words, counter, philox_key);
}

uint32_t rng_u32(rng_key key, uint64_t index)
{
    uint32_t words[4];
    rng_words(words, key, index);
    return words[0];
}

static uint64_t join(uint32_t low, uint32_t high)
{
    return (uint64_t)high << 32 | low;
}

uint64_t rng_below(rng_key key, uint64_t index, uint64_t n)
{
    CHECK(n >= 1, "nothing to choose from");
    /* Words above the last whole multiple of n are refused, or small results would be likelier. */
    uint64_t most = UINT64_MAX - (UINT64_MAX % n + 1) % n;
    for (;; key.place++) { /* another stream if both words were refused */
        uint32_t words[4];
        rng_words(words, key, index);
        uint64_t first = join(words[0], words[1]), second = join(words[2], words[3]);
        if (first <= most) return first % n;
        if (second <= most) return second % n;
    }
}

static double unit53(uint32_t low, uint32_t high)
{
    return (double)(join(low, high) >> 11) * 0x1p-53;
}

double rng_uniform(rng_key key, uint64_t index)
{
    uint32_t words[4];
    rng_words(words, key, index);
    return unit53(words[0], words[1]);
}

double rng_normal(rng_key key, uint64_t index)
{
    uint32_t words[4];
    rng_words(words, key, index);
    double radius = sqrt(-2 * log(1 - unit53(words[0], words[1]))); /* of (0, 1] */
    return radius * cos(TWO_PI * unit53(words[2], words[3]));
}

void rng_normals(double four[4], rng_key key, uint64_t index)
{
    uint32_t words[4];
    rng_words(words, key, index);
    for (int i = 0; i < 4; i += 2) {
        double radius = sqrt(-2 * log(((double)words[i] + 1) * 0x1p-32));
        double angle = TWO_PI * 0x1p-32 * (double)words[i + 1];
        four[i] = radius * cos(angle);
        four[i + 1] = radius * sin(angle);
    }
}

void rng_permutation(int64_t *order, int64_t n, rng_key key)
{
    for (int64_t i = 0; i < n; i++) {
        int64_t j = (int64_t)rng_below(key, (uint64_t)i, (uint64_t)i + 1);
        order[i] = order[j];
        order[j] = i;
    }
}
