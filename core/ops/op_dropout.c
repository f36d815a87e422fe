#include "core/ops/dropout.h"

#include "core/ops/ops.h"
#include "core/ops/vec.h"

#include <math.h>

void dropout_mask(real *mask, int64_t n, double rate, rng_key key, uint64_t index)
{
    /* Kept iff word >= rate * 2^32, rounded: the probability is exact to 2^-32. */
    uint64_t bound = (uint64_t)llround(rate * 4294967296.0);
    real kept = (real)(1 / (1 - rate));
    for (int64_t i = 0; i < n;) {
        uint32_t words[4];
        rng_words(words, key, (index + (uint64_t)i) / 4);
        for (uint64_t w = (index + (uint64_t)i) % 4; w < 4 && i < n; w++, i++) {
            mask[i] = words[w] < bound ? 0 : kept;
        }
    }
}

typedef struct dropout_keep {
    tensor *x, *y;
    double rate;
    rng_key key;
} dropout_keep;

enum { TILE = 1024 };

/* to += or = from * mask; the mask is drawn again in the backward pass rather than kept. */
static void dropout_apply(real *to, const real *from, const dropout_keep *k, bool add)
{
    int64_t rows = k->x->shape[0], each = tensor_count(k->x) / MAX(rows, 1);
    real mask[TILE];
    for (int64_t r = 0; r < rows; r++) {
        rng_key key = k->key;
        key.row += (uint32_t)r;
        for (int64_t i = 0; i < each; i += TILE) {
            int64_t n = MIN(TILE, each - i);
            real *y = to + r * each + i;
            dropout_mask(mask, n, k->rate, key, (uint64_t)i);
            if (!add) vec_zero(y, n);
            vec_mul_add(y, from + r * each + i, mask, n);
        }
    }
}

static void dropout_backward(tape *t, void *keep)
{
    dropout_keep *k = keep;
    real *dx = tape_grad(t, k->x);
    if (dx) dropout_apply(dx, k->y->grad, k, true);
}

static const op_class DROPOUT = {"dropout", dropout_backward};

tensor *op_dropout(tape *t, tensor *x, double rate, rng_key key)
{
    CHECK(rate >= 0 && rate < 1 && x->rank >= 1, "dropout of %g on rank %d", rate, x->rank);
    if (rate == 0) return x;
    double since = tape_clock(t);
    tensor *y = tape_like(t, x);
    dropout_keep k = {x, y, rate, key};
    dropout_apply(y->data, x->data, &k, false);
    if (tape_wants(t, 1, &x)) {
        dropout_keep *kept = tape_keep(t, 1, sizeof *kept);
        *kept = k;
        tape_record(t, &DROPOUT, kept, 1, &y);
    }
    tape_charge(t, &DROPOUT, since);
    return y;
}
