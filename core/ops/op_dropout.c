#include "core/ops/dropout.h"

#include "core/ops/ops.h"
#include "core/ops/vec.h"

/* Factors [n] of a row's elements from `index` on, a multiple of 4. */
typedef void (*factors_fn)(real *factors, int64_t n, double size, rng_key key, uint64_t index);

typedef struct factors_keep {
    tensor *x, *y;
    factors_fn draw;
    double size;
    rng_key key;
} factors_keep;

/* A multiple of 4, so that each tile of a row begins with a counter of its own. 4 KiB of factors
 * are drawn, used and forgotten. */
enum { TILE = 1024 };

/* to += or = from * factors, which are drawn again in the backward pass rather than kept.
 * A row of the batch draws from its own stream, by its number over all lanes: how rows are shared
 * among lanes changes no mask. */
static void multiply(real *to, const real *from, const factors_keep *k, bool add)
{
    int64_t rows = k->x->shape[0], each = tensor_count(k->x) / MAX(rows, 1);
    real factors[TILE];
    for (int64_t r = 0; r < rows; r++) {
        rng_key key = k->key;
        key.row += (uint32_t)r;
        for (int64_t i = 0; i < each; i += TILE) {
            int64_t n = MIN(TILE, each - i);
            real *y = to + r * each + i;
            k->draw(factors, n, k->size, key, (uint64_t)i);
            if (!add) vec_zero(y, n);
            vec_mul_add(y, from + r * each + i, factors, n);
        }
    }
}

/* y = x f: dx = dy f with the same factors */
static void multiply_backward(tape *t, void *keep)
{
    factors_keep *k = keep;
    real *dx = tape_grad(t, k->x);
    if (dx) multiply(dx, k->y->grad, k, true);
}

static const op_class DROPOUT = {"dropout", multiply_backward};
static const op_class JITTER = {"jitter", multiply_backward};

/* Nothing is kept but the key: the mask is a function of it. */
static tensor *multiplied(tape *t, const op_class *op, tensor *x, factors_fn draw, double size,
                          rng_key key)
{
    if (size == 0) return x;
    double since = tape_clock(t);
    factors_keep k = {x, tape_like(t, x), draw, size, key};
    multiply(k.y->data, x->data, &k, false);
    return tape_done(t, op, since, 1, &x, &k, sizeof k, k.y);
}

/* Below 1: at 1 nothing would be kept, and 1 / (1 - rate) infinite. */
tensor *op_dropout(tape *t, tensor *x, double rate, rng_key key)
{
    CHECK(rate >= 0 && rate < 1 && x->rank >= 1, "dropout of %g on rank %d", rate, x->rank);
    return multiplied(t, &DROPOUT, x, dropout_mask, rate, key);
}

/* low + 2 size u with u = word / 2^32. */
static void jitter_factors(real *factors, int64_t n, double size, rng_key key, uint64_t index)
{
    const real most = (real)size, low = 1 - most, unit = most / (real)2147483648.0;
    uint32_t words[TILE]; /* below 2^32 */
    rng_fill_words(words, n, key, index / 4);
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        factors[i] = low + unit * (real)words[i];
    }
}

tensor *op_jitter(tape *t, tensor *x, double size, rng_key key)
{
    CHECK(size >= 0 && x->rank >= 1, "jitter of %g on rank %d", size, x->rank);
    return multiplied(t, &JITTER, x, jitter_factors, size, key);
}
