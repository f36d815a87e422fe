/* Counter-based random numbers, Philox4x32-10 (Salmon et al. 2011, doi 10.1145/2063384.2063405).
 *
 * A number is a pure function of (seed, place, index): no generator is ever advanced, so a resumed
 * run, another order of rows and another number of threads draw the same numbers. */
#pragma once

#include "core/base/base.h"

/* Where a stream of numbers is used. Streams with different fields are independent. */
typedef struct rng_key {
    uint64_t seed;  /* of the run */
    uint32_t step;  /* optimiser step, epoch, or 0 */
    uint32_t row;   /* row of the batch over all lanes, or 0 */
    uint32_t place; /* what draws: rng_place("...") of a unique name */
} rng_key;

/* A stable 32-bit hash of a name (FNV-1a). */
uint32_t rng_place(const char *name);

/* The generator itself: ten rounds of Philox4x32 on counter and key. */
void rng_philox(uint32_t words[4], const uint32_t counter[4], const uint32_t key[2]);

/* Four random words for counter `index` of stream `key`. */
void rng_words(uint32_t words[4], rng_key key, uint64_t index);

uint32_t rng_u32(rng_key key, uint64_t index);               /* uniform over all words */
uint64_t rng_below(rng_key key, uint64_t index, uint64_t n); /* uniform in [0, n), n >= 1 */
double rng_uniform(rng_key key, uint64_t index);             /* [0, 1), 53 bits */
double rng_normal(rng_key key, uint64_t index);              /* N(0, 1), Box-Muller */
/* The words of counters first, first + 1, ..., four each, for many at a time: out[0..n). */
void rng_fill_words(uint32_t *out, int64_t n, rng_key key, uint64_t first);
/* Fills out[0..n), for many at a time: entries 4i..4i+3 come from counter i. Another stream of
 * values than rng_normal's. */
void rng_fill_normal(double *out, int64_t n, rng_key key);

/* order[i] becomes a uniformly random permutation of 0..n-1 (Fisher-Yates). */
void rng_permutation(int64_t *order, int64_t n, rng_key key);
