/* Gradients as values: see ops_fast.h.
 *
 * A fast weight layer's inner step uses the gradient of its own loss. To train through that step,
 * the gradient has to be a value with a derivative: each op here computes what another op's
 * backward function would, and its own backward function is the second derivative. */
#include "core/ops/ops_fast.h"

#include <math.h>
#include <string.h>

#include "core/ops/softmax.h"
#include "core/ops/vec.h"

/* ---- cross-entropy ---- */

typedef struct ce_keep {
    tensor *logits, *y;
    const real *factor; /* scale * weight [n] */
} ce_keep;

/* dp = f * dy;  dlogits = p (dp - p . dp). The softmax is y / f + onehot, but f may be 0 or tiny,
 * so it is computed again.
 * y = f (p - onehot): the target is a constant, so only p moves, and its derivative is the
 * softmax's. */
static void ce_backward(tape *t, void *keep)
{
    ce_keep *k = keep;
    real *dlogits = tape_grad(t, k->logits);
    if (!dlogits) return;
    int64_t vocab = tensor_width(k->y), n = tensor_rows(k->y);
    arena *scratch = tape_scratch(t);
    arena_mark mark = arena_now(scratch);
    real *p = ARENA_NEW(scratch, real, vocab);
    for (int64_t i = 0; i < n; i++) {
        real f = k->factor[i];
        if (f == 0) continue;
        const real *restrict dy = k->y->grad + i * vocab;
        real *restrict dx = dlogits + i * vocab;
        softmax_row(p, k->logits->data + i * vocab, vocab);
        real along = vec_dot(p, dy, vocab);
        for (int64_t j = 0; j < vocab; j++) {
            dx[j] += f * p[j] * (dy[j] - along);
        }
    }
    arena_rewind(scratch, mark);
}

static const op_class CROSS_ENTROPY_GRADIENT = {"cross_entropy_gradient", ce_backward};

/* y [..., vocab], as large as the logits; the softmax of the backward pass is one row of
 * scratch. */
tensor *op_cross_entropy_gradient(tape *t, tensor *logits, const int32_t *targets,
                                  const real *weights, real scale)
{
    double since = tape_clock(t);
    int64_t vocab = tensor_width(logits), n = tensor_rows(logits);
    tensor *y = tape_like(t, logits);
    real *factor = tape_keep(t, n, sizeof *factor);
    for (int64_t i = 0; i < n; i++) {
        /* Kept by the tape; the targets are not, as the derivative does not depend on them. */
        factor[i] = scale * (weights ? weights[i] : 1);
        real *row = y->data + i * vocab;
        if (factor[i] == 0) {
            memset(row, 0, (size_t)vocab * sizeof *row);
            continue;
        }
        CHECK(targets[i] >= 0 && targets[i] < vocab, "target %d of %lld", targets[i],
              (long long)vocab);
        softmax_row(row, logits->data + i * vocab, vocab);
        row[targets[i]] -= 1;
        for (int64_t j = 0; j < vocab; j++) {
            row[j] *= factor[i];
        }
    }
    return tape_done(t, &CROSS_ENTROPY_GRADIENT, since, 1, &logits, &(ce_keep){logits, y, factor},
                     sizeof(ce_keep), y);
}

/* ---- layer norm ----
 *
 * With u = (x - mean) r, r = 1 / sqrt(var + eps), n the width and <a, b> = sum(a b) / n:
 *
 *   dx = J du,   J a = r (a - <a, 1> - u <a, u>)          J is symmetric
 *
 * For a cotangent e of dx:
 *   gradient of du:  J e
 *   gradient of x:   J v - r^2 u (<e, du> - <du, 1> <e, 1> - <du, u> <e, u>)
 *   with             v = -r (du <e, u> + e <du, u>)
 * since x acts through u (Jacobian J again) and through r (dr/dx = -r^2 u / n). */

typedef struct ln_keep {
    tensor *x, *du, *y;
    real eps;
} ln_keep;

static real mean_of(const real *a, int64_t n)
{
    return vec_sum(a, n) / (real)n;
}

static real mean_product(const real *a, const real *b, int64_t n)
{
    return vec_dot(a, b, n) / (real)n;
}

/* u = normalised x; returns r. */
static real normalise(real *restrict u, const real *restrict x, int64_t n, real eps)
{
    real mean = mean_of(x, n);
    for (int64_t j = 0; j < n; j++) {
        u[j] = x[j] - mean;
    }
    real r = 1 / (real)sqrt((double)(vec_dot(u, u, n) / (real)n + eps));
    for (int64_t j = 0; j < n; j++) {
        u[j] *= r;
    }
    return r;
}

/* out += J a
 * Symmetric, so the same function serves forwards (J du) and backwards (J e, J v). */
static void add_jacobian(real *restrict out, const real *restrict a, const real *restrict u, real r,
                         int64_t n)
{
    real mean = mean_of(a, n), along = mean_product(a, u, n);
    for (int64_t j = 0; j < n; j++) {
        out[j] += r * (a[j] - mean - u[j] * along);
    }
}

static void ln_backward(tape *t, void *keep)
{
    ln_keep *k = keep;
    real *gx = tape_grad(t, k->x), *gdu = tape_grad(t, k->du);
    int64_t n = tensor_width(k->x), rows = tensor_rows(k->x);
    arena *scratch = tape_scratch(t);
    arena_mark mark = arena_now(scratch);
    real *u = ARENA_NEW(scratch, real, n), *v = ARENA_NEW(scratch, real, n);
    for (int64_t i = 0; i < rows; i++) {
        const real *e = k->y->grad + i * n, *du = k->du->data + i * n;
        real r = normalise(u, k->x->data + i * n, n, k->eps);
        if (gdu) add_jacobian(gdu + i * n, e, u, r, n);
        if (!gx) continue;
        real eu = mean_product(e, u, n), duu = mean_product(du, u, n);
        /* <e, J du> / r: what changes with r alone. */
        real through_r = mean_product(e, du, n) - mean_of(du, n) * mean_of(e, n) - duu * eu;
        real *restrict out = gx + i * n;
        for (int64_t j = 0; j < n; j++) {
            v[j] = -r * (du[j] * eu + e[j] * duu);
            out[j] -= r * r * u[j] * through_r;
        }
        add_jacobian(out, v, u, r, n);
    }
    arena_rewind(scratch, mark);
}

static const op_class LAYERNORM_GRADIENT = {"layernorm_gradient", ln_backward};

tensor *op_layernorm_gradient(tape *t, tensor *x, tensor *du, real eps)
{
    CHECK(tensor_same_shape(x, du), "x has %lld elements, du %lld", (long long)tensor_count(x),
          (long long)tensor_count(du));
    double since = tape_clock(t);
    int64_t n = tensor_width(x), rows = tensor_rows(x);
    tensor *y = tape_constant(t, NULL, x->rank, x->shape);
    arena *scratch = tape_scratch(t);
    arena_mark mark = arena_now(scratch);
    real *u = ARENA_NEW(scratch, real, n);
    for (int64_t i = 0; i < rows; i++) {
        real r = normalise(u, x->data + i * n, n, eps);
        add_jacobian(y->data + i * n, du->data + i * n, u, r, n);
    }
    arena_rewind(scratch, mark);
    return tape_done(t, &LAYERNORM_GRADIENT, since, 2, (tensor *[]){x, du},
                     &(ln_keep){x, du, y, eps}, sizeof(ln_keep), y);
}

/* ---- squared ReLU ---- */

typedef struct relu2_keep {
    tensor *x, *dy, *y;
} relu2_keep;

/* y = 2 relu(x) dy: the slope by x is 2 dy where x > 0, by dy it is 2 relu(x). */
static void relu2_backward(tape *t, void *keep)
{
    relu2_keep *k = keep;
    const real *restrict x = k->x->data, *restrict dy = k->dy->data, *restrict e = k->y->grad;
    real *restrict gx = tape_grad(t, k->x), *restrict gdy = tape_grad(t, k->dy);
    int64_t n = tensor_count(k->y);
    for (int64_t i = 0; gx && i < n; i++) {
        gx[i] += x[i] > 0 ? 2 * e[i] * dy[i] : 0;
    }
    for (int64_t i = 0; gdy && i < n; i++) {
        gdy[i] += x[i] > 0 ? 2 * e[i] * x[i] : 0;
    }
}

static const op_class RELU2_GRADIENT = {"relu2_gradient", relu2_backward};

tensor *op_relu2_gradient(tape *t, tensor *x, tensor *dy)
{
    CHECK(tensor_same_shape(x, dy), "x has %lld elements, dy %lld", (long long)tensor_count(x),
          (long long)tensor_count(dy));
    double since = tape_clock(t);
    tensor *y = tape_like(t, x);
    const real *restrict in = x->data, *restrict slope = dy->data;
    real *restrict out = y->data;
    for (int64_t i = 0, n = tensor_count(x); i < n; i++) {
        out[i] = in[i] > 0 ? 2 * in[i] * slope[i] : 0;
    }
    return tape_done(t, &RELU2_GRADIENT, since, 2, (tensor *[]){x, dy}, &(relu2_keep){x, dy, y},
                     sizeof(relu2_keep), y);
}
