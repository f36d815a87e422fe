#include "core/ops/ops.h"
#include "core/ops/vec.h"
#include "core/ops/vmath.h"

/* All three norms are y = xhat * gain + bias with xhat = (x - mean) * r, one mean and one r per
 * row; only these two numbers are kept. */
typedef struct norm_keep {
    tensor *x, *gain, *bias, *y;
    real *mean, *r; /* [rows]; mean NULL where nothing is subtracted */
    real eps;
} norm_keep;

/* One number per row, beside width of them in x. */
static real *keep_rows(tape *t, const tensor *x)
{
    return tape_keep(t, tensor_rows(x), sizeof(real));
}

static tensor *finish(tape *t, const op_class *op, const norm_keep *values, double since)
{
    tensor *inputs[] = {values->x, values->gain, values->bias};
    return tape_done(t, op, since, 3, inputs, values, sizeof *values, values->y);
}

static void check_row(const tensor *x, const tensor *v)
{
    CHECK(!v || tensor_count(v) == tensor_width(x), "a gain or bias of %lld for a width of %lld",
          (long long)tensor_count(v), (long long)tensor_width(x));
}

/* y = (x - mean) r gain + bias for one row */
static void affine_row(real *restrict y, const real *restrict x, const real *restrict gain,
                       const real *restrict bias, real mean, real r, int64_t width)
{
    if (!gain) {
#pragma omp simd
        for (int64_t c = 0; c < width; c++) {
            y[c] = (x[c] - mean) * r;
        }
    } else {
#pragma omp simd
        for (int64_t c = 0; c < width; c++) {
            y[c] = (x[c] - mean) * r * gain[c];
        }
    }
    if (bias) vec_add(y, bias, width);
}

/* dgain += dy xhat, dbias += dy: summed over runs of rows, so that rounding does not grow with
 * their number (see vec_add_columns).
 * xhat is made again from x, mean and r; a row's products dy xhat are affine_row with dy as the
 * gain. */
static void norm_backward_affine(tape *t, const norm_keep *k)
{
    int64_t rows = tensor_rows(k->x), width = tensor_width(k->x);
    real *dbias = tape_grad(t, k->bias), *dgain = tape_grad(t, k->gain);
    if (dbias) vec_add_columns(dbias, k->y->grad, rows, width);
    if (!dgain) return;
    arena *scratch = tape_scratch(t);
    arena_mark mark = arena_now(scratch);
    /* RUN rows of products at a time: they stay in the cache, and are one run of
     * vec_add_columns. */
    enum { RUN = 16 };
    real *products = ARENA_NEW(scratch, real, RUN * width);
    for (int64_t begin = 0; begin < rows; begin += RUN) {
        int64_t run = MIN(RUN, rows - begin);
        for (int64_t i = 0; i < run; i++) {
            int64_t row = begin + i;
            affine_row(products + i * width, k->x->data + row * width, k->y->grad + row * width,
                       NULL, k->mean ? k->mean[row] : 0, k->r[row], width);
        }
        vec_add_columns(dgain, products, run, width);
    }
    arena_rewind(scratch, mark);
}

/* With g = dy gain: dx += r (g - mean(g) - xhat mean(g xhat)); mean(g) only where x's was
 * subtracted.
 * For xhat = (x - m) r with r = (mean((x - m)^2) + eps)^-1/2: dr/dx_i = - r^3 (x_i - m) / width,
 * and dm/dx_i = 1 / width. So dx_i = r g_i - r mean(g) - r^3 (x_i - m) sum_j g_j (x_j - m) / width,
 * which is the line above with `slope` = r^2 sum(g (x - m)) / width. The part of the mean in dr
 * vanishes, as x - m adds up to 0. */
static void norm_backward_row(real *restrict dx, const real *restrict dy, const real *restrict x,
                              const real *restrict gain, real mean, real r, bool centred,
                              int64_t width)
{
    real sum = 0, dot = 0;
    if (gain) {
#pragma omp simd reduction(+ : sum, dot)
        for (int64_t c = 0; c < width; c++) {
            real g = dy[c] * gain[c];
            sum += g;
            dot += g * (x[c] - mean);
        }
    } else {
#pragma omp simd reduction(+ : sum, dot)
        for (int64_t c = 0; c < width; c++) {
            sum += dy[c];
            dot += dy[c] * (x[c] - mean);
        }
    }
    real shift = centred ? sum / (real)width : 0, slope = dot * r * r / (real)width;
    if (gain) {
#pragma omp simd
        for (int64_t c = 0; c < width; c++) {
            dx[c] += r * (dy[c] * gain[c] - shift - slope * (x[c] - mean));
        }
    } else {
#pragma omp simd
        for (int64_t c = 0; c < width; c++) {
            dx[c] += r * (dy[c] - shift - slope * (x[c] - mean));
        }
    }
}

/* Nothing but zeros, or where the mean is subtracted, nothing but one number: a row without a
 * direction, whose norm's derivative is eps^-1/2, a factor of a thousand at every norm that it
 * passes. A frozen or pruned row of an embedding, in a model without biases, is such a row in every
 * layer, and its gradient would drown all others. It has none here.
 * Compared exactly: a row that differs by one bit has a direction. Most rows show it at once. */
static bool is_flat(const real *x, bool centred, int64_t width)
{
    real same = centred ? x[0] : 0;
    for (int64_t c = 0; c < width; c++) {
        if (x[c] != same) return false;
    }
    return true;
}

static void norm_backward(tape *t, void *keep)
{
    norm_keep *k = keep;
    norm_backward_affine(t, k);
    int64_t rows = tensor_rows(k->x), width = tensor_width(k->x);
    real *dx = tape_grad(t, k->x);
    for (int64_t n = 0; dx && n < rows; n++) {
        if (is_flat(k->x->data + n * width, k->mean != NULL, width)) continue;
        norm_backward_row(dx + n * width, k->y->grad + n * width, k->x->data + n * width,
                          k->gain ? k->gain->data : NULL, k->mean ? k->mean[n] : 0, k->r[n],
                          k->mean != NULL, width);
    }
}

static const op_class LAYERNORM = {"layernorm", norm_backward};
/* One backward function: the classes differ by name, for profiles. */
static const op_class RMSNORM = {"rmsnorm", norm_backward};

/* Sum of squared differences from the mean; the mean is known first, so that nothing cancels. Two
 * sums at a time, as in vec_sum. */
static real squares_about(const real *restrict x, real mean, int64_t width)
{
    real low = 0, high = 0;
    int64_t half = width / 2;
#pragma omp simd reduction(+ : low, high)
    for (int64_t c = 0; c < half; c++) {
        low += (x[c] - mean) * (x[c] - mean);
        high += (x[half + c] - mean) * (x[half + c] - mean);
    }
    real last = width % 2 ? x[width - 1] - mean : 0;
    return low + high + last * last;
}

/* x [..., width]; gain, bias [width] */
tensor *op_layernorm(tape *t, tensor *x, tensor *gain, tensor *bias, real eps)
{
    check_row(x, gain);
    check_row(x, bias);
    double since = tape_clock(t);
    int64_t rows = tensor_rows(x), width = tensor_width(x);
    norm_keep k = {x, gain, bias, tape_like(t, x), keep_rows(t, x), keep_rows(t, x), eps};
    for (int64_t n = 0; n < rows; n++) {
        const real *row = x->data + n * width;
        /* Two passes over a row that is in the cache: sum of squares minus square of the sum would
         * cancel where the mean is large beside the deviations. */
        k.mean[n] = vec_sum(row, width) / (real)width;
        k.r[n] = 1 / vm_sqrt(squares_about(row, k.mean[n], width) / (real)width + eps);
        affine_row(k.y->data + n * width, row, gain ? gain->data : NULL, bias ? bias->data : NULL,
                   k.mean[n], k.r[n], width);
    }
    return finish(t, &LAYERNORM, &k, since);
}

/* A layer norm with a mean of 0 that is not computed; mean NULL tells the backward pass. */
tensor *op_rmsnorm(tape *t, tensor *x, tensor *gain, real eps)
{
    check_row(x, gain);
    double since = tape_clock(t);
    int64_t rows = tensor_rows(x), width = tensor_width(x);
    norm_keep k = {x, gain, NULL, tape_like(t, x), NULL, keep_rows(t, x), eps};
    for (int64_t n = 0; n < rows; n++) {
        const real *row = x->data + n * width;
        k.r[n] = 1 / vm_sqrt(squares_about(row, 0, width) / (real)width + eps);
        affine_row(k.y->data + n * width, row, gain ? gain->data : NULL, NULL, 0, k.r[n], width);
    }
    return finish(t, &RMSNORM, &k, since);
}

/* ---- l2 norm: y = x r, r = 1 / max(|x|, eps) ---- */

/* dx += r (dy - y (y . dy)), or r dy where eps holds r; nothing into a row of zeros.
 * With y = x / |x|: dy_i/dx_j = (delta_ij - y_i y_j) / |x|. */
static void l2norm_backward(tape *t, void *keep)
{
    norm_keep *k = keep;
    int64_t rows = tensor_rows(k->x), width = tensor_width(k->x);
    real *dx = tape_grad(t, k->x);
    for (int64_t n = 0; dx && n < rows; n++) {
        const real *dy = k->y->grad + n * width, *y = k->y->data + n * width;
        /* By the division that made r: r eps may round to less than 1. */
        bool held = k->r[n] >= 1 / k->eps;
        if (held && is_flat(k->x->data + n * width, false, width)) continue;
        vec_axpy(dx + n * width, k->r[n], dy, width);
        if (!held) vec_axpy(dx + n * width, -k->r[n] * vec_dot(dy, y, width), y, width);
    }
}

static const op_class L2NORM = {"l2norm", l2norm_backward};

/* max and not a sum under the root: vectors longer than eps become unit vectors. */
tensor *op_l2norm(tape *t, tensor *x, real eps)
{
    double since = tape_clock(t);
    int64_t rows = tensor_rows(x), width = tensor_width(x);
    norm_keep k = {x, NULL, NULL, tape_like(t, x), NULL, keep_rows(t, x), eps};
    for (int64_t n = 0; n < rows; n++) {
        const real *row = x->data + n * width;
        real length = vm_sqrt(squares_about(row, 0, width));
        /* The second test lets a NaN through. */
        k.r[n] = length > eps || length != length ? 1 / length : 1 / eps;
        vec_scaled(k.y->data + n * width, k.r[n], row, width);
    }
    return finish(t, &L2NORM, &k, since);
}
