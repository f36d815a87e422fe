#include "core/ops/activation.h"
#include "core/ops/vec.h"

/* Only x and y are at hand in the backward pass; f and f' are evaluated again from x, a tile at a
 * time. To keep f' would cost a tensor as large as x for each activation, and a pass over it. */

typedef struct activation_keep {
    tensor *x, *y;
    activation kind;
} activation_keep;

/* Elements handled at a time, so that what is computed again stays in the first-level cache. */
enum { TILE = 1024 };

/* dx = dy f'(x) */
static void activation_backward(tape *t, void *keep)
{
    activation_keep *k = keep;
    /* 8 KiB on the stack in float; value is not used, but comes with the slope at next to no
     * cost. */
    real value[TILE], slope[TILE];
    real beta;
    real *dx = tape_grad_beta(t, k->x, &beta);
    for (int64_t i = 0, n = tensor_count(k->x); dx && i < n; i += TILE) {
        int64_t m = MIN(TILE, n - i);
        activation_value_slope(value, slope, k->x->data + i, m, k->kind);
        /* Tile by tile, while it is in the cache, and not by a pass of its own over all of dx. */
        if (beta == 0) vec_zero(dx + i, m);
        vec_mul_add(dx + i, k->y->grad + i, slope, m);
    }
}

static const op_class ACTIVATION = {"activation", activation_backward};

/* y is a tensor of its own: x may be wanted by others, and is read again backwards. */
tensor *op_activation(tape *t, tensor *x, activation kind)
{
    double since = tape_clock(t);
    tensor *y = tape_like(t, x);
    activation_value(y->data, x->data, tensor_count(x), kind);
    return tape_done(t, &ACTIVATION, since, 1, &x, &(activation_keep){x, y, kind},
                     sizeof(activation_keep), y);
}

/* ---- gated linear units: y = a f(b), x = [a, b] ---- */

/* y = a f(b): da = dy f(b), db = dy a f'(b). dx has both halves, [da, db]. */
static void glu_backward_row(real *restrict dx, const real *restrict dy, const real *restrict x,
                             int64_t n, int64_t begin, int64_t end, activation kind)
{
    real value[TILE], slope[TILE];
    int64_t m = end - begin;
    const real *restrict a = x + begin, *restrict g = dy + begin;
    real *restrict da = dx + begin, *restrict db = dx + n + begin;
    activation_value_slope(value, slope, x + n + begin, m, kind);
#pragma omp simd
    for (int64_t i = 0; i < m; i++) {
        da[i] += g[i] * value[i];
        db[i] += g[i] * a[i] * slope[i];
    }
}

/* Row by row, since the halves of a row lie n apart. */
static void glu_backward(tape *t, void *keep)
{
    activation_keep *k = keep;
    real *dx = tape_grad(t, k->x);
    int64_t n = tensor_width(k->y), rows = tensor_rows(k->y);
    for (int64_t r = 0; dx && r < rows; r++) {
        for (int64_t i = 0; i < n; i += TILE) {
            glu_backward_row(dx + 2 * n * r, k->y->grad + n * r, k->x->data + 2 * n * r, n, i,
                             MIN(n, i + TILE), k->kind);
        }
    }
}

static const op_class GLU = {"glu", glu_backward};

tensor *op_glu(tape *t, tensor *x, activation kind)
{
    CHECK(x->rank >= 1 && tensor_width(x) % 2 == 0, "a width of %lld has no two halves",
          (long long)tensor_width(x));
    double since = tape_clock(t);
    int64_t n = tensor_width(x) / 2, rows = tensor_rows(x);
    int64_t shape[TENSOR_RANK];
    memcpy(shape, x->shape, sizeof shape);
    shape[x->rank - 1] = n;
    tensor *y = tape_tensor(t, x->rank, shape);
    for (int64_t r = 0; r < rows; r++) {
        /* y = f(b) first, then times a, in place */
        activation_value(y->data + n * r, x->data + 2 * n * r + n, n, kind);
        vec_mul(y->data + n * r, x->data + 2 * n * r, n);
    }
    return tape_done(t, &GLU, since, 1, &x, &(activation_keep){x, y, kind}, sizeof(activation_keep),
                     y);
}
