#include "core/ops.h"

typedef struct jitter_keep {
    tensor *x, *y;
    real size;
    rng_key key;
} jitter_keep;

/* to (+)= from * factor; the factors are drawn again in the backward pass rather than kept. */
static void jitter_apply(real *to, const real *from, const jitter_keep *k, bool add)
{
    int64_t rows = k->x->shape[0], each = tensor_count(k->x) / MAX(rows, 1);
    const real unit = k->size / (real)2147483648.0; /* 2^31: words are in [0, 2^32) */
    for (int64_t r = 0; r < rows; r++) {
        rng_key key = k->key;
        key.row += (uint32_t)r;
        for (int64_t i = 0; i < each; i += 4) {
            uint32_t words[4];
            rng_words(words, key, (uint64_t)i / 4);
            for (int64_t w = 0; w < MIN(4, each - i); w++) {
                int64_t at = r * each + i + w;
                real y = from[at] * (1 - k->size + unit * (real)words[w]);
                to[at] = add ? to[at] + y : y;
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
    if (tape_wants(t, 1, &x)) {
        jitter_keep *kept = tape_keep(t, 1, sizeof *kept);
        *kept = k;
        tape_record(t, &JITTER, kept, 1, &k.y);
    }
    tape_charge(t, &JITTER, since);
    return k.y;
}
