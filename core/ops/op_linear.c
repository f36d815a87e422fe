#include "core/ops/activation.h"
#include "core/ops/blas.h"
#include "core/ops/ops.h"
#include "core/ops/vec.h"

/* With Y = X W^T + b (rows of X are positions), a change of the loss is <dY, dX W^T + X dW^T + db>,
 * and so
 *
 *   dX = dY W,   dW = dY^T X,   db = the sum of dY's rows
 *
 * Three products, of which the two of the backward pass write into their gradient where it is fresh
 * (beta 0) and add to it where another op has been there. X is not copied: the tensor's data stays
 * until the step's reset. */

/* ---- linear ---- */

typedef struct linear_keep {
    tensor *x, *w, *b, *y;
    activation kind; /* of x before the product; ACT_IDENTITY for op_linear */
    /* The forward pass's, so that both directions have one precision, whatever the tape is set to
     * later. */
    const gemm_kernel *g;
} linear_keep;

/* The shape of x with its last axis replaced by `width`: [rows, time, in] gives [rows, time, out].
 */
static tensor *with_width(tape *t, const tensor *x, int64_t width)
{
    int64_t shape[TENSOR_RANK];
    memcpy(shape, x->shape, sizeof shape);
    CHECK(x->rank >= 1, "a product needs an axis to sum over");
    shape[x->rank - 1] = width;
    return tape_tensor(t, x->rank, shape);
}

/* Told here, with the sizes, rather than by blas_gemm, which knows strides only. */
static void linear_check(const tensor *x, const tensor *w, const tensor *b)
{
    CHECK(w->rank == 2 && w->shape[1] == tensor_width(x), "x [..., %lld], w [%lld, %lld]",
          (long long)tensor_width(x), (long long)w->shape[0], (long long)w->shape[1]);
    CHECK(!b || tensor_count(b) == w->shape[0], "bias [%lld], w [%lld, %lld]",
          (long long)tensor_count(b), (long long)w->shape[0], (long long)w->shape[1]);
}

/* y = x W^T + b */
static void linear_product(const gemm_kernel *g, tensor *y, const real *x, const tensor *w,
                           const tensor *b)
{
    int64_t rows = tensor_rows(y), out = w->shape[0], in = w->shape[1];
    blas_gemm_kept(w->kept, g, true, rows, out, in, x, in, w->data, b ? b->data : NULL, 0, y->data,
                   out);
}

/* dW += dy^T x, db += column sums of dy.
 * Over all rows of the lane at once: dW is one product, not one per position. */
static void linear_backward_weights(tape *t, const linear_keep *k, const real *x)
{
    int64_t rows = tensor_rows(k->y), out = k->w->shape[0], in = k->w->shape[1];
    real beta;
    real *dw = tape_grad_beta(t, k->w, &beta);
    if (dw) blas_gemm(k->g, true, false, out, in, rows, 1, k->y->grad, out, x, in, beta, dw, in);
    real *db = tape_grad(t, k->b);
    if (db) vec_add_columns(db, k->y->grad, rows, out);
}

static void linear_backward(tape *t, void *keep)
{
    linear_keep *k = keep;
    int64_t rows = tensor_rows(k->y), out = k->w->shape[0], in = k->w->shape[1];
    linear_backward_weights(t, k, k->x->data);
    real beta;
    real *dx = tape_grad_beta(t, k->x, &beta);
    if (dx) {
        blas_gemm_kept(k->w->kept, k->g, false, rows, in, out, k->y->grad, out, k->w->data, NULL,
                       beta, dx, in);
    }
}

static const op_class LINEAR = {"linear", linear_backward};

static void linear_record(tape *t, const op_class *op, linear_keep values)
{
    tensor *inputs[] = {values.x, values.w, values.b};
    if (!tape_wants(t, 3, inputs)) return;
    linear_keep *k = tape_keep(t, 1, sizeof *k);
    *k = values;
    tape_record(t, op, k, 1, &k->y);
}

/* Rows are all leading axes together, so a sequence in a batch is one product. */
tensor *op_linear(tape *t, tensor *x, tensor *w, tensor *b)
{
    linear_check(x, w, b);
    double since = tape_clock(t);
    tensor *y = with_width(t, x, w->shape[0]);
    linear_product(tape_products(t), y, x->data, w, b);
    linear_record(t, &LINEAR, (linear_keep){x, w, b, y, ACT_IDENTITY, tape_products(t)});
    tape_charge(t, &LINEAR, since);
    return y;
}

/* ---- activation before a product ---- */

/* A, and dX = or += dA f'(X), where A and f'(X) come from one evaluation. Of the slope there is a
 * part at a time, which stays in the cache; parts are long enough for helpers. */
static void times_slope(tape *t, const linear_keep *k, real *value, real *dx, const real *da)
{
    enum { PART = 1 << 14 };
    real *slope = ARENA_NEW(tape_scratch(t), real, PART);
    for (int64_t i = 0, count = tensor_count(k->x); i < count; i += PART) {
        int64_t n = MIN(PART, count - i);
        activation_value_slope(value + i, slope, k->x->data + i, n, k->kind);
        if (da) {
            vec_mul_add(dx + i, da + i, slope, n);
        } else {
            vec_mul(dx + i, slope, n);
        }
    }
}

/* With A = f(X), Y = A W^T + b: dA = dY W, dX = dA f'(X), dW = dY^T A. Where dX is fresh, dA is
 * written into it and multiplied in place; else it needs a buffer, or what other ops added would be
 * multiplied, too. */
static void activation_linear_backward(tape *t, void *keep)
{
    linear_keep *k = keep;
    int64_t rows = tensor_rows(k->y), out = k->w->shape[0], in = k->w->shape[1];
    arena *scratch = tape_scratch(t);
    arena_mark mark = arena_now(scratch);
    real *value = ARENA_NEW(scratch, real, rows * in);
    real beta = 0;
    real *dx = tape_grad_beta(t, k->x, &beta);
    if (dx) {
        real *da = beta == 0 ? NULL : ARENA_NEW(scratch, real, rows * in);
        blas_gemm_kept(k->w->kept, k->g, false, rows, in, out, k->y->grad, out, k->w->data, NULL, 0,
                       da ? da : dx, in);
        times_slope(t, k, value, dx, da);
    } else {
        activation_value(value, k->x->data, rows * in, k->kind);
    }
    linear_backward_weights(t, k, value);
    arena_rewind(scratch, mark);
}

static const op_class ACTIVATION_LINEAR = {"activation_linear", activation_linear_backward};

/* f(x) lives in scratch while the product is made, and is gone when the op returns. */
tensor *op_activation_linear(tape *t, tensor *x, activation kind, tensor *w, tensor *b)
{
    linear_check(x, w, b);
    double since = tape_clock(t);
    tensor *y = with_width(t, x, w->shape[0]);
    arena *scratch = tape_scratch(t);
    arena_mark mark = arena_now(scratch);
    int64_t count = tensor_count(x);
    real *value = ARENA_NEW(scratch, real, count);
    activation_value(value, x->data, count, kind);
    linear_product(tape_products(t), y, value, w, b);
    arena_rewind(scratch, mark);
    linear_record(t, &ACTIVATION_LINEAR, (linear_keep){x, w, b, y, kind, tape_products(t)});
    tape_charge(t, &ACTIVATION_LINEAR, since);
    return y;
}

/* ---- matmul ---- */

/* ta, tb: whether the operand is stored transposed. */
typedef struct matmul_keep {
    tensor *a, *b, *c;
    bool ta, tb;
    real alpha;
    const gemm_kernel *g;
} matmul_keep;

/* One operand or gradient seen per batch entry: entries are `step` apart (0 if shared). */
typedef struct batched {
    const real *data;
    int64_t step, columns;
} batched;

/* Rank 2 has no batch axis: step 0 gives every entry the same matrix. */
static batched batch_of(const tensor *x, const real *data)
{
    int64_t rows = x->shape[x->rank - 2], columns = x->shape[x->rank - 1];
    return (batched){data, x->rank == 3 ? rows * columns : 0, columns};
}

/* dx += alpha op(p) op(q) for every batch entry. A shared operand gathers over all entries.
 * Of a shared operand only the first entry may overwrite. */
static void matmul_gradient(tape *t, const gemm_kernel *kernel, tensor *x, batched p, bool tp,
                            batched q, bool tq, int64_t inner, int64_t batch, real alpha)
{
    real beta;
    real *dx = tape_grad_beta(t, x, &beta);
    if (!dx) return;
    batched g = batch_of(x, dx);
    int64_t m = x->shape[x->rank - 2];
    for (int64_t n = 0; n < batch; n++) {
        real add = g.step == 0 && n > 0 ? 1 : beta;
        blas_gemm(kernel, tp, tq, m, g.columns, inner, alpha, p.data + n * p.step, p.columns,
                  q.data + n * q.step, q.columns, add, dx + n * g.step, g.columns);
    }
}

/* c = op(a) op(b): da = dc op(b)^T, db = op(a)^T dc, each transposed where the operand is. */
static void matmul_backward(tape *t, void *keep)
{
    matmul_keep *k = keep;
    batched a = batch_of(k->a, k->a->data), b = batch_of(k->b, k->b->data);
    batched dc = batch_of(k->c, k->c->grad);
    int64_t batch = k->c->rank == 3 ? k->c->shape[0] : 1;
    int64_t m = k->c->shape[k->c->rank - 2], n = dc.columns;
    /* The operand is stored transposed, so is its gradient: (dC op(b)^T)^T = op(b) dC^T. */
    if (k->ta) {
        matmul_gradient(t, k->g, k->a, b, k->tb, dc, true, n, batch, k->alpha);
    } else {
        matmul_gradient(t, k->g, k->a, dc, false, b, !k->tb, n, batch, k->alpha);
    }
    if (k->tb) {
        matmul_gradient(t, k->g, k->b, dc, true, a, k->ta, m, batch, k->alpha);
    } else {
        matmul_gradient(t, k->g, k->b, a, !k->ta, dc, false, m, batch, k->alpha);
    }
}

static const op_class MATMUL = {"matmul", matmul_backward};

/* The output, after a check of the shapes: rank 3 if an operand is. */
static tensor *matmul_output(tape *t, const tensor *a, bool ta, const tensor *b, bool tb)
{
    CHECK(a->rank >= 2 && a->rank <= 3 && b->rank >= 2 && b->rank <= 3, "ranks %d and %d", a->rank,
          b->rank);
    const int64_t *sa = a->shape + a->rank - 2, *sb = b->shape + b->rank - 2;
    CHECK(sa[ta ? 0 : 1] == sb[tb ? 1 : 0], "[%lld, %lld]%s times [%lld, %lld]%s", (long long)sa[0],
          (long long)sa[1], ta ? "^T" : "", (long long)sb[0], (long long)sb[1], tb ? "^T" : "");
    CHECK(a->rank == 2 || b->rank == 2 || a->shape[0] == b->shape[0], "batches of %lld and %lld",
          (long long)a->shape[0], (long long)b->shape[0]);
    int64_t m = sa[ta ? 1 : 0], n = sb[tb ? 0 : 1];
    int64_t batch = a->rank == 3 ? a->shape[0] : b->shape[0];
    int64_t shape[] = {batch, m, n};
    bool batches = a->rank == 3 || b->rank == 3;
    return tape_tensor(t, batches ? 3 : 2, batches ? shape : shape + 1);
}

tensor *op_matmul(tape *t, tensor *a, bool transpose_a, tensor *b, bool transpose_b, real alpha)
{
    double since = tape_clock(t);
    tensor *c = matmul_output(t, a, transpose_a, b, transpose_b);
    batched pa = batch_of(a, a->data), pb = batch_of(b, b->data), pc = batch_of(c, c->data);
    int64_t batch = c->rank == 3 ? c->shape[0] : 1, m = c->shape[c->rank - 2];
    const gemm_kernel *kernel = tape_products(t);
    /* The axis that is summed over. */
    int64_t inner = a->shape[a->rank - (transpose_a ? 2 : 1)];
    for (int64_t n = 0; n < batch; n++) {
        blas_gemm(kernel, transpose_a, transpose_b, m, pc.columns, inner, alpha,
                  pa.data + n * pa.step, pa.columns, pb.data + n * pb.step, pb.columns, 0,
                  c->data + n * pc.step, pc.columns);
    }
    tensor *inputs[] = {a, b};
    return tape_done(t, &MATMUL, since, 2, inputs,
                     &(matmul_keep){a, b, c, transpose_a, transpose_b, alpha, kernel},
                     sizeof(matmul_keep), c);
}
