#include "layers/engram_ids.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

/* An n-gram's row is a hash modulo a prime, another prime for every head and order: two n-grams
 * that collide in one table hardly do in the others, so the heads together tell them apart.
 * Products of odd multipliers and ids are combined by xor, one more id for each order, so all
 * orders of a position come from one walk backwards. */

/* By trial: some thousand numbers at most, once per model. */
static bool is_prime(int64_t n)
{
    for (int64_t d = 2; d * d <= n; d++) {
        if (n % d == 0) return false;
    }
    return n > 1;
}

engram_ids engram_ids_new(int64_t order, int64_t heads, int64_t rows, int64_t vocab, rng_key key)
{
    engram_ids h = {.order = order, .heads = heads, .pad = vocab};
    /* id <= vocab, so id times 2 r + 1 stays below 2^63; the 0.999 keeps rounding of the double
     * away from that. */
    double most = (double)(INT64_MAX / (vocab + 1) / 2); /* of r in 2 r + 1 */
    for (int64_t n = 0; n < order; n++) {
        h.multiplier[n] = 2 * (int64_t)(rng_uniform(key, (uint64_t)n) * most * 0.999) + 1;
    }
    int64_t next = rows;
    for (int64_t i = 0; i < (order - 1) * heads; i++, next++) {
        while (!is_prime(next)) {
            next++;
        }
        h.size[i / heads][i % heads] = next;
        h.offset[i / heads][i % heads] = h.rows;
        h.rows += next;
    }
    return h;
}

void engram_ids_rows(const engram_ids *h, const int32_t *tokens, int64_t vocab, int32_t *out)
{
    uint64_t mix = 0;
    for (int64_t n = 0; n < h->order; n++) {
        /* Before the document stands one id that no token has. */
        int64_t id = tokens[-n] < vocab ? tokens[-n] : h->pad;
        mix ^= (uint64_t)id * (uint64_t)h->multiplier[n];
        for (int64_t k = 0; n > 0 && k < h->heads; k++) {
            /* All factors were below 2^63 and xor sets no higher bit: the number is not
             * negative. */
            int64_t row = (int64_t)mix % h->size[n - 1][k];
            *out++ = (int32_t)(h->offset[n - 1][k] + row);
        }
    }
}

/* ---- folding ---- */

typedef struct folded_text {
    const char *text;
    int32_t id;
} folded_text;

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Compatible forms, without marks that take no space, small letters: of one that does not decompose
 * further. Returns the bytes written.
 * MN: accents and the like, which stand apart after the decomposition. */
static int64_t fold_letter(char *out, utf8proc_int32_t letter)
{
    if (utf8proc_category(letter) == UTF8PROC_CATEGORY_MN) return 0;
    return utf8proc_encode_char(utf8proc_tolower(letter), (utf8proc_uint8_t *)out);
}

/* The letters of a text; what is no UTF-8 stays as it is. */
static const char *folded_letters(arena *a, const char *text)
{
    enum {
        /* COMPAT and DECOMPOSE: NFKD, which NFKC followed by NFD comes to. */
        DECOMPOSED = UTF8PROC_NULLTERM | UTF8PROC_STABLE | UTF8PROC_COMPAT | UTF8PROC_DECOMPOSE
    };
    utf8proc_uint8_t *whole;
    utf8proc_ssize_t bytes =
        utf8proc_map((const utf8proc_uint8_t *)text, 0, &whole, (utf8proc_option_t)DECOMPOSED);
    if (bytes < 0) return text;
    /* A small letter may take a byte more than its capital. */
    char *out = arena_push_zero(a, 2 * (int64_t)bytes + 4, 1), *to = out;
    utf8proc_int32_t letter;
    for (utf8proc_ssize_t at = 0, n; at < bytes; at += n) {
        n = utf8proc_iterate(whole + at, bytes - at, &letter);
        CHECK(n > 0, "%lld: no character", (long long)n);
        to += fold_letter(to, letter);
    }
    free(whole);
    return out;
}

/* One space for several, none at the ends; where that leaves nothing, a space.
 * So "The", " the" and "the" are one, and a token that is only spaces is a space. */
static const char *plain(arena *a, const char *text)
{
    text = folded_letters(a, text);
    char *out = arena_push(a, (int64_t)strlen(text) + 2, 1);
    int64_t n = 0;
    for (const char *p = text; *p; p++) {
        if (!is_space(*p)) {
            out[n++] = *p;
        } else if (n > 0 && out[n - 1] != ' ') {
            out[n++] = ' ';
        }
    }
    n -= n > 0 && out[n - 1] == ' ';
    if (n == 0) out[n++] = ' ';
    out[n] = 0;
    return out;
}

static int by_text(const void *x, const void *y)
{
    const folded_text *a = x, *b = y;
    int order = strcmp(a->text, b->text);
    return order ? order : a->id < b->id ? -1 : a->id > b->id;
}

void engram_ids_fold(int32_t *folded, const char *const *text, int64_t vocab)
{
    arena_auto *a = arena_new((size_t)1 << 20);
    folded_text *list = ARENA_NEW(a, folded_text, vocab);
    int64_t n = 0;
    for (int32_t id = 0; id < vocab; id++) {
        folded[id] = id;
        if (!text[id][0] || strstr(text[id], "\xEF\xBF\xBD")) continue;
        list[n++] = (folded_text){plain(a, text[id]), id};
    }
    /* Equal texts follow each other, the smallest id first: that is the one they become. */
    qsort(list, (size_t)n, sizeof *list, by_text);
    for (int64_t i = 1, first = 0; i < n; i++) {
        if (strcmp(list[i].text, list[first].text) != 0) first = i;
        folded[list[i].id] = list[first].id;
    }
}
