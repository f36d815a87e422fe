#include "core/base/rng.h"

#include "tests/test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The known answers that the authors of Philox publish with it (Random123, kat_vectors). */
static void philox_known_answers(void)
{
    static const uint32_t cases[3][10] = {
        {0, 0, 0, 0, 0, 0, 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8},
        {~0u, ~0u, ~0u, ~0u, ~0u, ~0u, 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd},
        {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0, 0xd16cfe09,
         0x94fdcceb, 0x5001e420, 0x24126ea1}};
    for (int i = 0; i < 3; i++) {
        uint32_t words[4];
        rng_philox(words, cases[i], cases[i] + 4);
        EXPECT(memcmp(words, cases[i] + 6, sizeof words) == 0, "case %d: %08x %08x %08x %08x", i,
               words[0], words[1], words[2], words[3]);
    }
}

static void every_field_changes_the_numbers(void)
{
    rng_key keys[6] = {{0},         {.seed = 1}, {.seed = 1ull << 32},
                       {.step = 1}, {.row = 1},  {.place = 1}};
    for (int i = 0; i < 6; i++) {
        for (int j = 0; j < i; j++) {
            uint32_t a[4], b[4];
            rng_words(a, keys[i], 0);
            rng_words(b, keys[j], 0);
            for (int k = 0; k < 4; k++) {
                EXPECT(a[k] != b[k], "keys %d and %d agree in word %d", i, j, k);
            }
        }
    }
    rng_key key = {.seed = 5};
    EXPECT(rng_u32(key, 1) != rng_u32(key, 1ull << 32), "both halves of the index count");
}

/* Of n samples the mean of a variable of deviation s is off by 5 s / sqrt(n) once in 1.7 million.
 */
static void moments(void)
{
    enum { N = 40000 };
    double mean_u = 0, mean = 0, square = 0, cube = 0, mean4 = 0, square4 = 0;
    rng_key key = {.seed = 7, .place = rng_place("test")};
    for (uint64_t i = 0; i < N; i++) {
        double u = rng_uniform(key, i), z = rng_normal(key, i), four[4];
        EXPECT(u >= 0 && u < 1, "%g", u);
        mean_u += u / N;
        mean += z / N;
        square += z * z / N;
        cube += z * z * z / N;
        rng_fill_normal(four, 4, (rng_key){.seed = 8, .row = (uint32_t)i});
        for (int k = 0; k < 4; k++) {
            mean4 += four[k] / (4 * N);
            square4 += four[k] * four[k] / (4 * N);
        }
    }
    double unit = 5 / sqrt(N);
    EXPECT(fabs(mean_u - 0.5) < unit * sqrt(1. / 12), "%g", mean_u);
    EXPECT(fabs(mean) < unit, "%g", mean);
    EXPECT(fabs(square - 1) < unit * sqrt(2), "%g", square);
    EXPECT(fabs(cube) < unit * sqrt(15), "%g", cube);
    EXPECT(fabs(mean4) < unit / 2, "%g", mean4);
    EXPECT(fabs(square4 - 1) < unit * sqrt(2) / 2, "%g", square4);
}

/* The quick functions against the library's: sizes up to 7, a handful of roundings. */
static void fill_agrees_with_the_definition(void)
{
    enum { N = 4001 }; /* ends inside a batch and inside a counter */
    static double x[N + 1];
    rng_key key = {.seed = 11, .place = 5};
    x[N] = 77;
    rng_fill_normal(x, N, key);
    for (int64_t i = 0; i < N; i++) {
        uint32_t words[4];
        rng_words(words, key, (uint64_t)(i / 4));
        double radius = sqrt(-2 * log(((double)words[i % 4 / 2 * 2] + 1) * 0x1p-32));
        double angle = 6.283185307179586476925 * 0x1p-32 * (double)words[i % 4 / 2 * 2 + 1];
        double expected = radius * (i % 2 ? sin(angle) : cos(angle));
        EXPECT(fabs(x[i] - expected) < 1e-14, "%lld: %.17g, not %.17g", (long long)i, x[i],
               expected);
    }
    EXPECT(x[N] >= 77 && x[N] <= 77, "wrote past the end");
}

static void below_is_uniform(void)
{
    enum { N = 60000 };
    int64_t counts[6] = {0};
    rng_key key = {.seed = 3};
    for (uint64_t i = 0; i < N; i++) {
        uint64_t x = rng_below(key, i, 6);
        EXPECT(x < 6, "%llu", (unsigned long long)x);
        counts[x % 6]++;
    }
    for (int i = 0; i < 6; i++) { /* deviation of a count: sqrt(N 5/36) = 91 */
        EXPECT(llabs(counts[i] - N / 6) < 5 * 92, "%d: %lld", i, (long long)counts[i]);
    }
    /* Just above half of all words: nearly every second word is refused. */
    uint64_t n = (1ull << 63) + 1;
    for (uint64_t i = 0; i < 100; i++) {
        EXPECT(rng_below(key, i, n) < n, "index %llu", (unsigned long long)i);
    }
    EXPECT(rng_below(key, 0, 1) == 0, "only 0 is below 1");
}

static void permutations(void)
{
    int64_t order[50], counts[3][3] = {{0}};
    rng_permutation(order, 50, (rng_key){.seed = 9});
    bool seen[50] = {false};
    for (int i = 0; i < 50; i++) {
        EXPECT(order[i] >= 0 && order[i] < 50 && !seen[order[i]], "%lld", (long long)order[i]);
        seen[order[i]] = true;
    }
    enum { N = 9000 }; /* each entry at each place: N/3 +- 5 sqrt(N 2/9) */
    for (uint32_t k = 0; k < N; k++) {
        rng_permutation(order, 3, (rng_key){.seed = 9, .step = k});
        for (int i = 0; i < 3; i++) {
            counts[i][order[i]]++;
        }
    }
    for (int i = 0; i < 9; i++) {
        EXPECT(llabs(counts[i / 3][i % 3] - N / 3) < 5 * 45, "%lld",
               (long long)counts[i / 3][i % 3]);
    }
}

/* Many words at a time are the words of one counter after another. */
static void many_words(void)
{
    enum { N = 1003 };
    static uint32_t many[N];
    rng_key key = {.seed = 3, .step = 1, .row = 2, .place = 4};
    rng_fill_words(many, N, key, 17);
    for (uint64_t i = 0; i < N; i++) {
        uint32_t words[4];
        rng_words(words, key, 17 + i / 4);
        EXPECT(many[i] == words[i % 4], "word %llu", (unsigned long long)i);
    }
}

const test_suite test_rng = {"core/rng",
                             {{"philox_known_answers", philox_known_answers},
                              {"every_field_changes_the_numbers", every_field_changes_the_numbers},
                              {"moments", moments},
                              {"fill_agrees_with_the_definition", fill_agrees_with_the_definition},
                              {"below_is_uniform", below_is_uniform},
                              {"permutations", permutations},
                              {"many_words", many_words},
                              {0}}};
