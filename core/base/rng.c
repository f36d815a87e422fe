#include "core/base/rng.h"

#include <math.h>
#include <string.h>

/* Why a counter and not a generator with a state: a state would have to be saved, be one per
 * thread, and be advanced by who draws nothing just so that the next one is in its place. Here a
 * dropout mask of row 17 in step 300 is the same function value in every lane, rank and resumed
 * run, and it can be computed a second time in the backward pass instead of being kept.
 *
 * The cost is ten rounds of two multiplications for four words. One at a time that is cheap enough
 * for sampling; for many there are loops over counters that vectorise (below), whose words are the
 * same ones. */

static const double TWO_PI = 6.283185307179586476925;

uint32_t rng_place(const char *name)
{
    uint32_t hash = 2166136261u;
    for (const unsigned char *c = (const unsigned char *)name; *c; c++) {
        hash = (hash ^ *c) * 16777619u;
    }
    return hash;
}

/* One round (sec. 3.3; M and W are the paper's constants, hi and lo the halves of a product):
 *
 *   c0' = hi(M1 c2) ^ c1 ^ k0     c1' = lo(M1 c2)     k0' = k0 + W0
 *   c2' = hi(M0 c0) ^ c3 ^ k1     c3' = lo(M0 c0)     k1' = k1 + W1
 *
 * For fixed keys it is a bijection of the counter, so two counters never give the same block. By
 * pointers, so that the compiler keeps all six words in registers and in lanes of vectors. */
static inline void philox_round(uint32_t *c0, uint32_t *c1, uint32_t *c2, uint32_t *c3,
                                uint32_t *k0, uint32_t *k1)
{
    uint64_t a = (uint64_t)0xD2511F53u * *c0, b = (uint64_t)0xCD9E8D57u * *c2;
    *c0 = (uint32_t)(b >> 32) ^ *c1 ^ *k0;
    *c2 = (uint32_t)(a >> 32) ^ *c3 ^ *k1;
    *c1 = (uint32_t)b;
    *c3 = (uint32_t)a;
    *k0 += 0x9E3779B9u;
    *k1 += 0xBB67AE85u;
}

/* Known vectors of the generator are compared with this one; all others go through the same
 * round. */
void rng_philox(uint32_t words[4], const uint32_t counter[4], const uint32_t key[2])
{
    uint32_t k0 = key[0], k1 = key[1];
    memcpy(words, counter, 4 * sizeof *words);
    for (int round = 0; round < 10; round++) {
        philox_round(&words[0], &words[1], &words[2], &words[3], &k0, &k1);
    }
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
 * since an odd factor and `mix` are bijections.
 * The place counts from 1, or place 0 would have the seed alone. Two seeds have a key in common, of
 * different places, only if they differ by some multiple of the factor (modulo 2^64): none below
 * fifty million is one, computed for all differences of places. */
static uint64_t key_of(rng_key key)
{
    return mix(key.seed + 0x9E3779B97F4A7C15u * ((uint64_t)key.place + 1));
}

void rng_words(uint32_t words[4], rng_key key, uint64_t index)
{
    uint64_t k = key_of(key);
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

/* As many bits as a double between 1/2 and 1 has: every multiple of 2^-53 in [0, 1), equally
 * likely, and never 1 by rounding. */
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

/* Box and Muller: R = sqrt(-2 log u), R cos(2 pi v) for uniform u in (0, 1] and v. 1 - u keeps 0
 * out of the logarithm; the smallest u, 2^-53, is 8.6 standard deviations out. The sine, a second
 * normal number, is thrown away: one index, one number. */
double rng_normal(rng_key key, uint64_t index)
{
    uint32_t words[4];
    rng_words(words, key, index);
    double radius = sqrt(-2 * log(1 - unit53(words[0], words[1]))); /* of (0, 1] */
    return radius * cos(TWO_PI * unit53(words[2], words[3]));
}

/* ---- many normal numbers: the same in loops that vectorise, five times as fast ---- */

/* Initial values of a model are millions of numbers. What differs from rng_normal: a word of 32
 * bits for each of u and v, so that nothing lies beyond 6.7 standard deviations and the counters'
 * four words give four numbers (both cosine and sine); and polynomials in place of the C library's
 * log and cos, which a loop over lanes cannot call. They are plain multiplications and additions of
 * doubles, whose bits no library's version changes. */
enum { BATCH = 64 /* counters at a time */ };

/* words[k][i]: word k for counter first + i.
 * Word by word, not counter by counter: all lanes of a vector then do the same step of the same
 * round. */
static void words_batch(uint32_t words[4][BATCH], rng_key key, uint64_t first)
{
    uint64_t k = key_of(key);
#pragma omp simd
    for (int i = 0; i < BATCH; i++) {
        uint64_t index = first + (uint64_t)i;
        uint32_t c0 = (uint32_t)index, c1 = (uint32_t)(index >> 32), c2 = key.row, c3 = key.step;
        uint32_t k0 = (uint32_t)k, k1 = (uint32_t)(k >> 32);
        for (int round = 0; round < 10; round++) {
            philox_round(&c0, &c1, &c2, &c3, &k0, &k1);
        }
        words[0][i] = c0;
        words[1][i] = c1;
        words[2][i] = c2;
        words[3][i] = c3;
    }
}

void rng_fill_words(uint32_t *out, int64_t n, rng_key key, uint64_t first)
{
    const int64_t at_once = (int64_t)4 * BATCH;
    uint32_t words[4][BATCH];
    for (int64_t i = 0; i < n; i += at_once) {
        words_batch(words, key, first + (uint64_t)(i / 4));
        for (int64_t k = 0; k < MIN(n - i, at_once); k++) {
            out[i + k] = words[k % 4][k / 4];
        }
    }
}

/* log(x) of a positive normal number: x = 2^e m with m in [sqrt(1/2), sqrt(2)), and
 * log(m) = 2 atanh(s), s = (m - 1)/(m + 1), |s| < 0.172: the first term left out is below 2e-17. */
/* With the bits as an integer, the exponent field of (bits - bits of sqrt(1/2)) is e itself,
 * negative ones in two's complement; taking it off the bits leaves m's. No table, no branch. The
 * sum is Horner's, 2 (s + s^3/3 + ... + s^21/21). */
static inline double quick_log(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    uint64_t shifted = bits - 0x3FE6A09E667F3BCDu; /* sqrt(1/2) */
    int64_t whole = (int64_t)(shifted & 0xFFF0000000000000u);
    double m;
    bits -= (uint64_t)whole;
    memcpy(&m, &bits, sizeof m);
    double e = (double)(int32_t)((uint64_t)whole >> 32) * 0x1p-20;
    double s = (m - 1) / (m + 1), z = s * s, sum = 1. / 21;
    for (int k = 19; k >= 1; k -= 2) {
        sum = sum * z + 1. / k;
    }
    return e * 0.69314718055994530942 + 2 * s * sum;
}

/* cos and sin of 2 pi w / 2^32: w = quadrant and rest in [-1/8, 1/8) of a turn; Taylor's series
 * there, cut below 1e-16. */
/* Adding 1/8 of a turn rounds to the nearest quadrant; the rest is a signed word, exact as a
 * double. |x| <= pi/4, where both series are cut at x^16 and x^17. Quadrants 1 and 3 exchange
 * cosine and sine; the sign of the cosine is negative in 1 and 2, that of the sine in 2 and 3. */
static inline void quick_turn(double *c, double *s, uint32_t w)
{
    uint32_t quadrant = (w + 0x20000000u) >> 30;
    double x = (double)(int32_t)(w - (quadrant << 30)) * (TWO_PI * 0x1p-32), z = x * x;
    double cosine = 1, sine = 1;
    for (int k = 16; k >= 2; k -= 2) {
        cosine = 1 - cosine * z / (double)(k * (k - 1));
    }
    for (int k = 16; k >= 2; k -= 2) {
        sine = 1 - sine * z / (double)(k * (k + 1));
    }
    sine *= x;
    double a = quadrant & 1 ? sine : cosine, b = quadrant & 1 ? cosine : sine;
    *c = (quadrant + 1) & 2 ? -a : a;
    *s = quadrant & 2 ? -b : b;
}

/* out [BATCH counters, 4]: words 0 and 1 give entries 0 and 1, words 2 and 3 the other two. (w + 1)
 * 2^-32 lies in (0, 1]. */
static void normals_batch(double out[4 * BATCH], rng_key key, uint64_t first)
{
    uint32_t words[4][BATCH];
    words_batch(words, key, first);
    for (int pair = 0; pair < 4; pair += 2) {
        double c[BATCH], s[BATCH];
#pragma omp simd
        for (int i = 0; i < BATCH; i++) {
            double radius = sqrt(-2 * quick_log(((double)words[pair][i] + 1) * 0x1p-32));
            quick_turn(&c[i], &s[i], words[pair + 1][i]);
            c[i] *= radius;
            s[i] *= radius;
        }
        for (int i = 0; i < BATCH; i++) {
            out[4 * i + pair] = c[i];
            out[4 * i + pair + 1] = s[i];
        }
    }
}

void rng_fill_normal(double *out, int64_t n, rng_key key)
{
    double batch[4 * BATCH];
    const int64_t length = sizeof batch / sizeof batch[0];
    for (int64_t i = 0; i < n; i += length) {
        normals_batch(batch, key, (uint64_t)(i / 4));
        memcpy(out + i, batch, (size_t)MIN(n - i, length) * sizeof *out);
    }
}

/* Inside out: entry i goes to a place j <= i, and what was there to the end. Nothing has to be
 * filled in before, and the choice for i draws number i, whatever n is. */
void rng_permutation(int64_t *order, int64_t n, rng_key key)
{
    for (int64_t i = 0; i < n; i++) {
        int64_t j = (int64_t)rng_below(key, (uint64_t)i, (uint64_t)i + 1);
        order[i] = order[j];
        order[j] = i;
    }
}
