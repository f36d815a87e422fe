#include "core/ops/ops.h"
#include "core/ops/vec.h"

/* Each op is its loop and the two or three lines of its derivative. Backward functions come in two
 * shapes. Where y's gradient goes to an input unchanged it is handed over (tape_grad_pass), which
 * costs nothing where the input has no gradient yet; that takes y's buffer away, so it is the last
 * thing a backward function does. Otherwise gradients are written or added.
 *
 * An op may get one tensor twice (x x, x + x): gradients then flow into one buffer one after the
 * other, and inputs are read through pointers that may be the same. */

/* What all of these keep: y from a and, where there is one, b; s is the op's constant. */
typedef struct binary_keep {
    tensor *a, *b, *y;
    real s;
} binary_keep;

/* b NULL is no input: tape_done passes over it. */
static tensor *finish(tape *t, const op_class *op, binary_keep values, double since)
{
    tensor *inputs[] = {values.a, values.b};
    return tape_done(t, op, since, 2, inputs, &values, sizeof(binary_keep), values.y);
}

/* Shapes must be equal, not only counts: an op that broadcast silently would hide a transposed
 * operand. */
static void check_same(const char *op, const tensor *a, const tensor *b)
{
    CHECK(tensor_same_shape(a, b), "%s of [%lld, %lld, %lld, %lld] and [%lld, %lld, %lld, %lld]",
          op, (long long)a->shape[0], (long long)a->shape[1], (long long)a->shape[2],
          (long long)a->shape[3], (long long)b->shape[0], (long long)b->shape[1],
          (long long)b->shape[2], (long long)b->shape[3]);
}

/* dx += s dy
 * Written and not zeroed and added to, where it is fresh. */
static void grad_axpy(tape *t, tensor *x, real s, const real *dy)
{
    real beta;
    real *dx = tape_grad_beta(t, x, &beta);
    if (!dx) return;
    int64_t n = tensor_count(x);
    if (beta == 0) {
        vec_scaled(dx, s, dy, n);
    } else {
        vec_axpy(dx, s, dy, n);
    }
}

/* ---- sums ---- */

/* y = a + s b: da = dy, db = s dy. b first, as dy's buffer goes to a. */
static void axpy_backward(tape *t, void *keep)
{
    binary_keep *k = keep;
    grad_axpy(t, k->b, k->s, k->y->grad);
    tape_grad_pass(t, k->a, k->y);
}

/* Sums, differences and the sum in place are one class: one line in a profile. */
static const op_class AXPY = {"add", axpy_backward};

/* restrict though a and b may be one tensor: both are only read. */
tensor *op_axpy(tape *t, tensor *a, real s, tensor *b)
{
    check_same("a sum", a, b);
    double since = tape_clock(t);
    tensor *y = tape_like(t, a);
    const real *restrict p = a->data, *restrict q = b->data;
    real *restrict out = y->data;
    int64_t n = tensor_count(y);
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        out[i] = p[i] + s * q[i];
    }
    return finish(t, &AXPY, (binary_keep){a, b, y, s}, since);
}

tensor *op_add(tape *t, tensor *a, tensor *b)
{
    return op_axpy(t, a, 1, b);
}

tensor *op_sub(tape *t, tensor *a, tensor *b)
{
    return op_axpy(t, a, -1, b);
}

/* y is another tensor over a's memory: gradients of a and y are apart, only the values are
 * shared. */
tensor *op_add_inplace(tape *t, tensor *a, tensor *b)
{
    check_same("a sum", a, b);
    CHECK(a->data != b->data, "a sum in place of a tensor and itself");
    double since = tape_clock(t);
    vec_add(a->data, b->data, tensor_count(a));
    return finish(t, &AXPY, (binary_keep){a, b, tape_detach(t, a), 1}, since);
}

/* y = s a: da = s dy. A buffer of its own is written, as dy's numbers differ from it. */
static void scale_backward(tape *t, void *keep)
{
    binary_keep *k = keep;
    grad_axpy(t, k->a, k->s, k->y->grad);
}

static const op_class SCALE = {"scale", scale_backward};

/* s is a constant of the op: it has no gradient. A factor to be learned is a tensor
 * (op_mul_col). */
tensor *op_scale(tape *t, tensor *a, real s)
{
    double since = tape_clock(t);
    tensor *y = tape_like(t, a);
    vec_scaled(y->data, s, a->data, tensor_count(a));
    return finish(t, &SCALE, (binary_keep){a, NULL, y, s}, since);
}

/* y = a + s: da = dy, the same buffer */
static void shift_backward(tape *t, void *keep)
{
    binary_keep *k = keep;
    tape_grad_pass(t, k->a, k->y);
}

static const op_class SHIFT = {"shift", shift_backward};

tensor *op_shift(tape *t, tensor *a, real s)
{
    double since = tape_clock(t);
    tensor *y = tape_like(t, a);
    for (int64_t i = 0, n = tensor_count(a); i < n; i++) {
        y->data[i] = a->data[i] + s;
    }
    return finish(t, &SHIFT, (binary_keep){a, NULL, y, s}, since);
}

/* ---- products ---- */

/* da = dy b, db = dy a */
static void mul_backward(tape *t, void *keep)
{
    binary_keep *k = keep;
    int64_t n = tensor_count(k->y);
    real *da = tape_grad(t, k->a);
    if (da) vec_mul_add(da, k->y->grad, k->b->data, n);
    real *db = tape_grad(t, k->b);
    if (db) vec_mul_add(db, k->y->grad, k->a->data, n);
}

static const op_class MUL = {"mul", mul_backward};

/* Both operands' values are read again backwards: neither may be overwritten in place later in the
 * step. */
tensor *op_mul(tape *t, tensor *a, tensor *b)
{
    check_same("a product", a, b);
    double since = tape_clock(t);
    tensor *y = tape_like(t, a);
    const real *p = a->data, *q = b->data; /* may be the same */
    real *restrict out = y->data;
    int64_t n = tensor_count(y);
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        out[i] = p[i] * q[i];
    }
    return finish(t, &MUL, (binary_keep){a, b, y, 0}, since);
}

/* y = a / b: da = dy / b, db = - dy a / b^2 = - dy y / b */
static void div_backward(tape *t, void *keep)
{
    binary_keep *k = keep;
    int64_t n = tensor_count(k->y);
    const real *dy = k->y->grad, *y = k->y->data, *b = k->b->data;
    real *da = tape_grad(t, k->a);
    for (int64_t i = 0; da && i < n; i++) {
        da[i] += dy[i] / b[i];
    }
    real *db = tape_grad(t, k->b);
    for (int64_t i = 0; db && i < n; i++) {
        db[i] -= dy[i] * y[i] / b[i];
    }
}

static const op_class DIV = {"div", div_backward};

/* No guard against 0: a quotient is infinite or NaN then, and is seen as such. */
tensor *op_div(tape *t, tensor *a, tensor *b)
{
    check_same("a quotient", a, b);
    double since = tape_clock(t);
    tensor *y = tape_like(t, a);
    for (int64_t i = 0, n = tensor_count(y); i < n; i++) {
        y->data[i] = a->data[i] / b->data[i];
    }
    return finish(t, &DIV, (binary_keep){a, b, y, 0}, since);
}

/* ---- rows and columns ---- */

/* dv = the sum of dy's rows; dx = dy */
static void add_row_backward(tape *t, void *keep)
{
    binary_keep *k = keep;
    real *dv = tape_grad(t, k->b);
    if (dv) vec_add_columns(dv, k->y->grad, tensor_rows(k->y), tensor_width(k->y));
    tape_grad_pass(t, k->a, k->y);
}

static const op_class ADD_ROW = {"add_row", add_row_backward};

/* By count: v may be [width] or [1, width]. */
static void check_row(const tensor *x, const tensor *v)
{
    CHECK(tensor_count(v) == tensor_width(x), "a row of %lld for a width of %lld",
          (long long)tensor_count(v), (long long)tensor_width(x));
}

/* v [width] stands for a row that is the same everywhere: a bias. */
tensor *op_add_row(tape *t, tensor *x, tensor *v)
{
    check_row(x, v);
    double since = tape_clock(t);
    tensor *y = tape_like(t, x);
    int64_t rows = tensor_rows(x), width = tensor_width(x);
    for (int64_t r = 0; r < rows; r++) {
        vec_copy(y->data + r * width, x->data + r * width, width);
        vec_add(y->data + r * width, v->data, width);
    }
    return finish(t, &ADD_ROW, (binary_keep){x, v, y, 0}, since);
}

/* Backwards it is op_add_row: neither reads x's values. */
tensor *op_add_row_inplace(tape *t, tensor *x, tensor *v)
{
    check_row(x, v);
    double since = tape_clock(t);
    for (int64_t r = 0, rows = tensor_rows(x), width = tensor_width(x); r < rows; r++) {
        vec_add(x->data + r * width, v->data, width);
    }
    return finish(t, &ADD_ROW, (binary_keep){x, v, tape_detach(t, x), 0}, since);
}

/* dv = sum over rows of dy x; dx = dy v */
static void mul_row_backward(tape *t, void *keep)
{
    binary_keep *k = keep;
    int64_t rows = tensor_rows(k->y), width = tensor_width(k->y);
    real *dv = tape_grad(t, k->b);
    for (int64_t r = 0; dv && r < rows; r++) {
        vec_mul_add(dv, k->y->grad + r * width, k->a->data + r * width, width);
    }
    real *dx = tape_grad(t, k->a);
    for (int64_t r = 0; dx && r < rows; r++) {
        vec_mul_add(dx + r * width, k->y->grad + r * width, k->b->data, width);
    }
}

static const op_class MUL_ROW = {"mul_row", mul_row_backward};

/* v [width]: a gain */
tensor *op_mul_row(tape *t, tensor *x, tensor *v)
{
    check_row(x, v);
    double since = tape_clock(t);
    tensor *y = tape_like(t, x);
    int64_t rows = tensor_rows(x), width = tensor_width(x);
    for (int64_t r = 0; r < rows; r++) {
        vec_copy(y->data + r * width, x->data + r * width, width);
        vec_mul(y->data + r * width, v->data, width);
    }
    return finish(t, &MUL_ROW, (binary_keep){x, v, y, 0}, since);
}

/* ds_r = dy_r . x_r; dx_r = s_r dy_r */
static void mul_col_backward(tape *t, void *keep)
{
    binary_keep *k = keep;
    int64_t rows = tensor_rows(k->y), width = tensor_width(k->y);
    real *ds = tape_grad(t, k->b), *dx = tape_grad(t, k->a);
    for (int64_t r = 0; r < rows; r++) {
        const real *dy = k->y->grad + r * width;
        if (ds) ds[r] += vec_dot(dy, k->a->data + r * width, width);
        if (dx) vec_axpy(dx + r * width, k->b->data[r], dy, width);
    }
}

static const op_class MUL_COL = {"mul_col", mul_col_backward};

/* s [rows]: a weight per position, as a gate's */
tensor *op_mul_col(tape *t, tensor *x, tensor *s)
{
    CHECK(tensor_count(s) == tensor_rows(x), "%lld factors for %lld rows",
          (long long)tensor_count(s), (long long)tensor_rows(x));
    double since = tape_clock(t);
    tensor *y = tape_like(t, x);
    int64_t rows = tensor_rows(x), width = tensor_width(x);
    for (int64_t r = 0; r < rows; r++) {
        vec_scaled(y->data + r * width, s->data[r], x->data + r * width, width);
    }
    return finish(t, &MUL_COL, (binary_keep){x, s, y, 0}, since);
}
