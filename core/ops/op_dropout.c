#include "core/ops/dropout.h"

#include "core/ops/ops.h"
#include "core/ops/vec.h"

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
    return tape_done(t, &DROPOUT, since, 1, &x, &k, sizeof(dropout_keep), y);
}
