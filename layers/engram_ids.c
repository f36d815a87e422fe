#include "layers/engram_ids.h"

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
        int64_t id = tokens[-n] < vocab ? tokens[-n] : h->pad;
        mix ^= (uint64_t)id * (uint64_t)h->multiplier[n];
        for (int64_t k = 0; n > 0 && k < h->heads; k++) {
            int64_t row = (int64_t)mix % h->size[n - 1][k];
            *out++ = (int32_t)(h->offset[n - 1][k] + row);
        }
    }
}
