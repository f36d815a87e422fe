/* Which rows of its tables an n-gram is looked up at (Cheng et al. 2026, arXiv:2601.07372). */
#pragma once

#include "layers/layer.h"

enum { ENGRAM_ORDERS = 8, ENGRAM_HEADS = 32 };

/* The n-gram that ends with token t, n = 2..order, is looked up by `heads` heads. Head h's row is
 *
 *   offset[n-2][h] + (id_t m_0 xor id_(t-1) m_1 ... xor id_(t-n+1) m_(n-1)) mod size[n-2][h]
 *
 * with odd multipliers so small that no product overflows; before the document stands `pad`. */
typedef struct engram_ids {
    int64_t order, heads, pad;
    int64_t multiplier[ENGRAM_ORDERS];
    int64_t size[ENGRAM_ORDERS - 1][ENGRAM_HEADS]; /* distinct primes */
    int64_t offset[ENGRAM_ORDERS - 1][ENGRAM_HEADS];
    int64_t rows; /* of all tables, which lie one behind the other */
} engram_ids;

/* Sizes are the primes from `rows` on, one after the other; multipliers are drawn. */
engram_ids engram_ids_new(int64_t order, int64_t heads, int64_t rows, int64_t vocab, rng_key key);

/* Rows of the n-grams that end at tokens[0] (2-grams first, head by head): out [(order - 1) heads].
 * order - 1 tokens lie before it; ids of `vocab` and more are where no document is. */
void engram_ids_rows(const engram_ids *h, const int32_t *tokens, int64_t vocab, int32_t *out);

/* Tokens whose texts differ in case, accents, spaces and the form of their letters alone become the
 * first of them: folded [vocab]. As published: NFKC, NFD, no nonspacing marks, small letters, one
 * space for several, none at the ends. A token without a text of its own (nothing, or U+FFFD for
 * what is no character) stays what it is. */
void engram_ids_fold(int32_t *folded, const char *const *text, int64_t vocab);
