#include "core/ops/ops.h"
#include "core/ops/vec.h"

typedef struct jitter_keep {
    tensor *x, *y;
    real size;
    rng_key key;
} jitter_keep;

enum { TILE = 512 };

/* to (+)= from * factor; the factors are drawn again in the backward pass rather than kept. */
static void jitter_apply(real *to, const real *from, const jitter_keep *k, bool add)
{
    int64_t rows = k->x->shape[0], each = tensor_count(k->x) / MAX(rows, 1);
    const real low = 1 - k->size, unit = k->size / (real)2147483648.0; /* words are below 2^32 */
    uint32_t words[TILE];
    for (int64_t r = 0; r < rows; r++) {
        rng_key key = k->key;
        key.row += (uint32_t)r;
        for (int64_t i = 0; i < each; i += TILE) {
            int64_t n = MIN(TILE, each - i);
            real *y = to + r * each + i;
            const real *x = from + r * each + i;
            rng_fill_words(words, n, key, (uint64_t)i / 4);
            if (!add) vec_zero(y, n);
#pragma omp simd
            for (int64_t w = 0; w < n; w++) {
                y[w] += x[w] * (low + unit * (real)words[w]);
            }
        }
    }
}

static void jitter_backward(tape *t, void *keep)
{
    jitter_keep *k = keep;
    real *dx = tape_grad(t, k->x);
    if (dx) jitter_apply(dx, k->y->grad, k, true);
}

static const op_class JITTER = {"jitter", jitter_backward};

tensor *op_jitter(tape *t, tensor *x, double size, rng_key key)
{
    CHECK(size >= 0 && x->rank >= 1, "jitter of %g on rank %d", size, x->rank);
    if (size == 0) return x;
    double since = tape_clock(t);
    jitter_keep k = {x, tape_like(t, x), (real)size, key};
    jitter_apply(k.y->data, x->data, &k, false);
    return tape_done(t, &JITTER, since, 1, &x, &k, sizeof(jitter_keep), k.y);
}
