/* Engram: tables, and which of their rows an n-gram is looked up at. */
#include "layers/engram_ids.h"
#include "tests/support/layer_apply.h"
#include "tests/test.h"

#include <string.h>

enum { WIDTH = 4, VOCAB = 9, ORDER = 4, HEADS = 3, TABLES = (ORDER - 1) * HEADS };

static engram_ids hashes_of(int64_t rows, uint64_t seed)
{
    return engram_ids_new(ORDER, HEADS, rows, VOCAB, (rng_key){.seed = seed, .place = 5});
}

static bool prime(int64_t n)
{
    bool found = n > 1;
    for (int64_t d = 2; d < n; d++) {
        found = found && n % d != 0;
    }
    return found;
}

static void sizes_are_primes(void)
{
    engram_ids h = hashes_of(90, 1);
    int64_t least = 90, rows = 0;
    for (int i = 0; i < TABLES; i++) {
        int64_t size = h.size[i / HEADS][i % HEADS];
        EXPECT(prime(size) && size >= least, "table %d has %lld rows", i, (long long)size);
        EXPECT(h.offset[i / HEADS][i % HEADS] == rows, "table %d begins elsewhere", i);
        for (int64_t n = least; n < size; n++) {
            EXPECT(!prime(n), "%lld is passed over", (long long)n);
        }
        least = size + 1;
        rows += size;
    }
    EXPECT(h.rows == rows, "%lld rows, not %lld", (long long)h.rows, (long long)rows);
}

static void multipliers_are_odd_and_drawn(void)
{
    engram_ids one = hashes_of(90, 1), again = hashes_of(90, 1), other = hashes_of(90, 2);
    for (int n = 0; n < ORDER; n++) {
        EXPECT(one.multiplier[n] % 2 == 1, "an even one loses an id's highest bit");
        EXPECT(one.multiplier[n] == again.multiplier[n], "another one of the same seed");
        EXPECT(one.multiplier[n] != other.multiplier[n], "the same one of another seed");
        EXPECT(one.multiplier[n] <= INT64_MAX / VOCAB, "a product overflows");
    }
}

/* Every row of every table is some n-gram's, the first and the last ones included. */
static void all_rows_are_reached(void)
{
    engram_ids h = hashes_of(5, 3);
    int32_t tokens[ORDER], found[TABLES];
    int64_t uses[256] = {0};
    CHECK(h.rows <= 256, "%lld rows", (long long)h.rows);
    for (int gram = 0; gram < 10 * 10 * 10 * 10; gram++) {
        for (int k = 0, rest = gram; k < ORDER; k++, rest /= 10) {
            tokens[k] = rest % 10;
        }
        engram_ids_rows(&h, tokens + ORDER - 1, VOCAB, found);
        for (int i = 0; i < TABLES; i++) {
            int64_t row = found[i] - h.offset[i / HEADS][i % HEADS];
            EXPECT(row >= 0 && row < h.size[i / HEADS][i % HEADS], "row %lld of table %d",
                   (long long)row, i);
            uses[found[i]]++;
        }
    }
    for (int64_t r = 0; r < h.rows; r++) {
        EXPECT(uses[r] > 0, "row %lld of %lld is nobody's", (long long)r, (long long)h.rows);
    }
}

/* An n-gram's rows depend on its n tokens: all of them, and no others. */
static void rows_depend_on_the_n_gram(void)
{
    engram_ids h = hashes_of(10000, 4);
    int32_t tokens[ORDER] = {1, 2, 3, 4}, before[TABLES], after[TABLES];
    engram_ids_rows(&h, tokens + ORDER - 1, VOCAB, before);
    for (int k = 0; k < ORDER; k++) { /* tokens back */
        int32_t kept = tokens[ORDER - 1 - k];
        tokens[ORDER - 1 - k] = 7;
        engram_ids_rows(&h, tokens + ORDER - 1, VOCAB, after);
        tokens[ORDER - 1 - k] = kept;
        for (int i = 0; i < TABLES; i++) {
            bool inside = k < i / HEADS + 2;
            EXPECT((before[i] != after[i]) == inside, "%d back, table %d", k, i);
        }
    }
}

/* Orders longer than the document: what is missing is the pad, in one call or in several. */
static void longer_than_the_document(void)
{
    const layer_dims dims = {.width = WIDTH, .vocab = VOCAB, .block = 4, .depths = 1};
    const int32_t tokens[] = {VOCAB, 3};
    const real x[2 * WIDTH] = {1, -2, 3, 1, 2, 1, -1, 4};
    err e;
    layer_apply *a = layer_apply_new("engram", "{order: 8, heads: 2}", &dims, 1, NULL, &e);
    CHECK(a, "%s", e.text);
    layer_apply_call both = {.time = 2, .x = x, .tokens = tokens};
    layer_apply_run(a, &both);
    real y[WIDTH];
    memcpy(y, both.y->data + WIDTH, sizeof y);
    layer_apply_reset(a);
    for (int i = 0; i < 2; i++) {
        layer_apply_call one = {.time = 1, .x = x + i * WIDTH, .tokens = tokens + i};
        layer_apply_run(a, &one);
        /* A few roundings behind the gate's root, whose slope is below 500. */
        double rtol = REAL_IS_DOUBLE ? 1e-12 : 1e-4;
        if (i == 1) expect_close("the second of two calls", one.y->data, y, WIDTH, rtol, 0);
    }
    layer_apply_free(a);
}

static void expect_folded(const char *const *text, const int32_t *expected, int64_t n)
{
    int32_t folded[32];
    CHECK(n <= 32, "%lld texts", (long long)n);
    engram_ids_fold(folded, text, n);
    for (int64_t i = 0; i < n; i++) {
        EXPECT(folded[i] == expected[i], "'%s' is %d, not %d", text[i], folded[i], expected[i]);
    }
}

static void folding(void)
{
    static const char *const text[] = {"the",          " The",     "THE ", "then", " ",
                                       "\n\t",         "",         "a  b", "A b",  "\xEF\xBF\xBD",
                                       "\xEF\xBF\xBD", "\xC3\x89", ""};
    static const int32_t expected[] = {0, 0, 0, 3, 4, 4, 6, 7, 7, 9, 10, 11, 12};
    expect_folded(text, expected, sizeof expected / sizeof *expected);
}

/* As the published normaliser does: NFKC, NFD, no nonspacing marks, small letters one by one. */
static void folding_of_all_letters(void)
{
    static const char *const text[] = {
        "e",      "\u00c9", "e\u0301",      "\uff25",       "fi", "\ufb01",
        "\u03a3", "\u03c3", "\u03c2",       "\u00df",       "ss", "\u0130",
        "i",      "a b",    "A\u00a0b",     "\u3000\u00a0", " ",  "\u0915\u093f",
        "\u0915", "\xff",   "\u0416\u0410", "\u0436\u0430"};
    static const int32_t expected[] = {0,  0,  0,  0,  4,  4,  6,  6,  8,  9,  10,
                                       11, 11, 13, 13, 15, 15, 17, 18, 19, 20, 20};
    expect_folded(text, expected, sizeof expected / sizeof *expected);
}

/* With it, "Ab" is looked up as "ab"; without text, ids are as they are. */
static void folded_layer(void)
{
    static const char *const text[VOCAB] = {"a", "A", "b", "B", "c", "d", "e", "f", "g"};
    const layer_dims dims = {.width = WIDTH, .vocab = VOCAB, .block = 4, .depths = 1};
    const int32_t lower[] = {VOCAB, 0, 2}, upper[] = {VOCAB, 1, 3};
    const real x[3 * WIDTH] = {1, -2, 3, 1, 2, 1, -1, 4, 1, 3, -3, 1};
    for (int known = 0; known < 2; known++) {
        layer_build inputs = {.token_text = known ? text : NULL};
        real y[3 * WIDTH];
        err e;
        layer_apply *a = layer_apply_new("engram", "{fold: true}", &dims, 1, &inputs, &e);
        CHECK(a, "%s", e.text);
        layer_apply_call call = {.time = 3, .x = x, .tokens = lower};
        layer_apply_run(a, &call);
        memcpy(y, call.y->data, sizeof y);
        layer_apply_reset(a);
        call.tokens = upper;
        layer_apply_run(a, &call);
        EXPECT((memcmp(y, call.y->data, sizeof y) == 0) == known, "text %d: 'AB' is 'ab': %d",
               known, !known);
        layer_apply_free(a);
    }
}

static void too_many_rows(void)
{
    const layer_dims dims = {.width = WIDTH, .vocab = VOCAB, .block = 4, .depths = 1};
    err e;
    layer_apply *a =
        layer_apply_new("engram", "{order: 8, heads: 32, rows: 1e8}", &dims, 1, NULL, &e);
    EXPECT(!a && strstr(e.text, "make them smaller"), "not refused: %s", e.text);
    layer_apply_free(a);
}

extern const test_suite test_engram;
const test_suite test_engram = {"layers/engram",
                                {{"sizes_are_primes", sizes_are_primes},
                                 {"multipliers_are_odd_and_drawn", multipliers_are_odd_and_drawn},
                                 {"all_rows_are_reached", all_rows_are_reached},
                                 {"rows_depend_on_the_n_gram", rows_depend_on_the_n_gram},
                                 {"longer_than_the_document", longer_than_the_document},
                                 {"folding", folding},
                                 {"folding_of_all_letters", folding_of_all_letters},
                                 {"folded_layer", folded_layer},
                                 {"too_many_rows", too_many_rows},
                                 {0}}};
